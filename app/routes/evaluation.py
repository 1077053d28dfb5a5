"""Evaluation: how well the detector in use finds what people annotated, measured as a job, and kept."""

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict

from annotations import queries
from app.routes.context import Context, RowId

router = APIRouter(prefix="/api")


class EvaluateBody(BaseModel):
    """Body of `POST /api/datasets/{id}/evaluations`; without a split all annotated images are measured on."""

    model_config = ConfigDict(extra="forbid")
    split: Literal["train", "val", "test"] | None = None


@router.get("/datasets/{dataset_id}/evaluations")
def list_evaluations(dataset_id: RowId, services: Context) -> dict[str, Any]:
    """The newest evaluation of each detector and split, what can be measured on, and the job that is at work."""
    with services.store.reading() as session:
        queries.dataset_by_id(session, dataset_id)
    detector = services.models.current()
    labelled = services.evaluator.labelled(dataset_id)
    running = services.evaluator.running(dataset_id)
    return {
        "evaluations": [jsonable_encoder(asdict(view)) for view in services.evaluator.kept(dataset_id)],
        "labelled": [{"split": split, "images": count} for split, count in labelled.items()],
        "detector": detector,
        "base": next((view.base for view in services.models.list() if view.name == detector), None),
        "job": None if running is None else str(running),
    }


@router.post("/datasets/{dataset_id}/evaluations")
def evaluate(dataset_id: RowId, body: EvaluateBody, services: Context) -> dict[str, str]:
    """Queue an evaluation of the detector in use; one that is at work on this dataset is answered instead."""
    return {"job": str(services.evaluator.start(dataset_id, body.split))}
