"""Teaching: whether a dataset is ready, starting, watching, stopping and resuming a training run."""

from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from fastapi.encoders import jsonable_encoder
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from annotations import queries
from app.routes.context import Context, RowId
from app.services.previewing import preview_sheet

router = APIRouter(prefix="/api")

Mode = Literal["vocabulary", "closed", "open"]


class TrainBody(BaseModel):
    """Body of `POST /api/datasets/{id}/train`; what is left out is chosen to suit the machine and the dataset."""

    model_config = ConfigDict(extra="forbid")
    steps: int | None = Field(default=None, ge=1, le=1_000_000)
    mode: Mode = "vocabulary"
    name: str | None = Field(default=None, max_length=100)
    detector: str | None = Field(default=None, max_length=500)


@router.get("/datasets/{dataset_id}/teachable")
def teachable(dataset_id: RowId, services: Context) -> dict[str, Any]:
    """What still keeps the dataset from being taught (nothing, when empty), and what to know before it is."""
    return {
        "reasons": services.teacher.check_ready(dataset_id),
        "warnings": services.teacher.warnings(dataset_id),
        "detector": services.models.current(),
    }


@router.get("/datasets/{dataset_id}/preview")
def preview(dataset_id: RowId, services: Context, mode: Mode = "vocabulary") -> Response:
    """A picture of the first samples a run would learn from."""
    with services.store.reading() as session:
        dataset = queries.dataset_by_id(session, dataset_id).name
    sheet = preview_sheet(services.store, services.models, dataset, mode)
    return Response(sheet, media_type="image/png", headers={"cache-control": "no-store"})


@router.post("/datasets/{dataset_id}/train")
def train(dataset_id: RowId, body: TrainBody, services: Context) -> dict[str, str]:
    """Start a training run as a process of its own."""
    with services.store.reading() as session:
        dataset = queries.dataset_by_id(session, dataset_id).name
    detector = body.detector or services.models.current()  # the same that finds the boxes on the page
    run = services.teacher.start(dataset, steps=body.steps, mode=body.mode, name=body.name, detector=detector)
    return {"run": str(run)}


@router.get("/datasets/{dataset_id}/runs")
def list_runs(dataset_id: RowId, services: Context) -> dict[str, Any]:
    """The training runs of a dataset, newest first."""
    return {"runs": [jsonable_encoder(asdict(view)) for view in services.teacher.runs(dataset_id)]}


@router.get("/runs/{run_id}")
def progress(run_id: UUID, services: Context) -> dict[str, Any]:
    """The curves of a run and how far it is."""
    encoded: dict[str, Any] = jsonable_encoder(asdict(services.teacher.progress(run_id)))
    return encoded


@router.post("/runs/{run_id}/stop")
def stop(run_id: UUID, services: Context) -> dict[str, str]:
    """Ask a run to stop; its last state is kept, so that it can be resumed."""
    services.teacher.stop(run_id)
    return {"run": str(run_id)}


@router.post("/runs/{run_id}/resume")
def resume(run_id: UUID, services: Context) -> dict[str, str]:
    """Go on with a run that was stopped or whose process ended, from its last saved state."""
    services.teacher.resume(run_id)
    return {"run": str(run_id)}
