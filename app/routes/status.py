"""What this server is running with."""

from fastapi import APIRouter

from app.routes.context import Context

router = APIRouter(prefix="/api")


@router.get("/status")
def status(services: Context) -> dict[str, str]:
    """The detector and segmenter in use, their device, the workspace and the version."""
    return services.status()
