"""Our own scripts and styles from app/web: an index made once, so that no path from outside ever meets the disk."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

WEB = Path(__file__).resolve().parent.parent / "web"

# Said by us: on some systems a registry answers text/plain for scripts, and modules then refuse to load.
_MEDIA_TYPES = {
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


@dataclass(frozen=True)
class Asset:
    """One file of the page, in memory."""

    content: bytes
    media_type: str
    tag: str


def read_assets(folder: Path) -> dict[str, Asset]:
    """All files of `folder` a browser may have, by their path inside it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        media_type = _MEDIA_TYPES.get(path.suffix)
        if media_type and path.is_file():
            content = path.read_bytes()
            found[path.relative_to(folder).as_posix()] = Asset(
                content, media_type, hashlib.sha256(content).hexdigest()[:32]
            )
    return found


def router(folder: Path = WEB) -> APIRouter:
    """`GET /web/{name}`; browsers revalidate each file, so that a new version never meets an old one."""
    assets = read_assets(folder)
    routes = APIRouter()

    @routes.get("/web/{name:path}")
    def asset(name: str, request: Request) -> Response:
        found = assets.get(name)
        if found is None:
            raise HTTPException(404, "There is no such file.")
        headers = {"etag": f'"{found.tag}"', "cache-control": "no-cache"}
        if f'"{found.tag}"' in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(found.content, media_type=found.media_type, headers=headers)

    return routes
