"""The detectors at hand, which one is at work, and changing that."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.routes.context import Context
from app.services.models import hub_id_of

router = APIRouter(prefix="/api/models")


class PromoteBody(BaseModel):
    """Body of `POST /api/models/promote`."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=200)


@router.get("")
def list_models(services: Context) -> dict[str, Any]:
    """The starter and all trained checkpoints, the name of the one in use, and the public ones at hand beside it."""
    models = services.models
    current = models.current()
    return {
        "models": [asdict(view) for view in models.list()],
        "current": current,
        "fetched": [name for name in models.fetched() if hub_id_of(name) != hub_id_of(current)],
    }


@router.post("/promote")
def promote(body: PromoteBody, services: Context) -> dict[str, str]:
    """Put a detector to work from now on."""
    services.models.promote(body.name)
    return {"current": services.models.current()}


@router.post("/rollback")
def rollback(services: Context) -> dict[str, str]:
    """Back to the detector that was promoted before."""
    return {"current": services.models.rollback()}
