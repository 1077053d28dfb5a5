"""What this server is running with."""

from functools import cache
from typing import Any

from fastapi import APIRouter

from app.routes.context import Context
from app.version import VERSION

router = APIRouter(prefix="/api")


@router.get("/status")
def status(services: Context) -> dict[str, Any]:
    """The detector and segmenter in use, their device, the workspace and the version."""
    name = services.models.current()
    return {
        "detector": name,
        "segmenter": services.models.segmenter_name,
        "device": _device(),
        "workspace": str(services.workspace.root),
        "version": VERSION,
    }


@cache
def _device() -> str:
    from engine.devices import pick_device  # torch: only when somebody asks

    return str(pick_device())
