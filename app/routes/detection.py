"""The detector and the segmenter at work: detection jobs, and masks for boxes or clicks."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.routes.context import LARGEST_ID, Context, RowId
from app.services.jobs import JobState
from app.services.labelling import Method
from app.services.questions import Task, question

router = APIRouter(prefix="/api")

MOST_SHAPES = 1000


class DetectBody(BaseModel):
    """Body of `POST /api/datasets/{id}/detect`; the task says how the prompt is read: names, sentence, expression."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = Field(max_length=50_000)
    image_ids: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] | Literal["all"]
    masks: bool = False
    task: Task = "detect"
    tiles: bool = False  # small things on large images
    again: bool | None = None  # also where this was asked already; None: only where images are named


class SegmentBody(BaseModel):
    """Body of `POST /api/images/{id}/segment`: boxes (a mask each), or points with labels 1 on and 0 off the object."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    boxes: list[tuple[float, float, float, float]] | None = Field(default=None, max_length=MOST_SHAPES)
    points: list[tuple[float, float]] | None = Field(default=None, max_length=MOST_SHAPES)
    labels: list[Literal[0, 1]] | None = Field(default=None, max_length=MOST_SHAPES)


@router.post("/datasets/{dataset_id}/detect")
def detect(dataset_id: RowId, body: DetectBody, services: Context) -> dict[str, str]:
    """Queue a detection; what it finds becomes predictions to review."""
    asked = question(body.task, body.prompt)
    ids = None if body.image_ids == "all" else body.image_ids
    if ids is not None and len(ids) == 1:
        services.prefetcher.asks = True
    method = Method(masks=body.masks, tiles=0 if body.tiles else None)
    return {"job": str(services.labeller.start(dataset_id, asked, ids, method, again=body.again))}


@router.get("/jobs/{job_id}")
def job(job_id: UUID, services: Context) -> dict[str, Any]:
    """How far a job is."""
    return job_json(services.jobs.state(job_id))


@router.post("/jobs/{job_id}/stop")
def stop_job(job_id: UUID, services: Context) -> dict[str, Any]:
    """Ask a job to end after the piece it is at; what it has done stays."""
    services.jobs.stop(job_id)
    return job_json(services.jobs.state(job_id))


@router.post("/images/{image_id}/segment")
def segment(image_id: RowId, body: SegmentBody, services: Context) -> dict[str, Any]:
    """Masks for boxes, or one mask for points."""
    if not body.boxes and not body.points:
        raise SegmentRefused("Nothing to segment: send boxes, or points with their labels.")
    if body.points is not None and len(body.points) != len(body.labels or ()):
        raise SegmentRefused(f"{len(body.points)} points need as many labels, got {len(body.labels or ())}.")
    return {"masks": services.outliner.segment(image_id, body.boxes, body.points, body.labels)}


class SegmentRefused(ValueError):
    """Boxes and points that do not fit together."""


def job_json(state: JobState) -> dict[str, Any]:
    """A job as the page reads it."""
    return {
        "id": str(state.id),
        "state": state.state,
        "done": state.done,
        "total": state.total,
        "error": state.error,
        "images": list(state.images),
        "detections": state.detections,
        "seconds_left": state.seconds_left,
        "skipped": [{"what": what, "reason": reason} for what, reason in state.skipped],
        "notes": list(state.notes),
        "result": state.result,
    }
