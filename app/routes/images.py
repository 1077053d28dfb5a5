"""One image: its pixels, its thumbnail, its shapes and the edits of them. Images are named by integer id only."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from annotations import queries
from annotations.edits import Edit, apply_edit
from app.routes.context import Context, RowId, Who
from app.routes.pictures import Picture, Source, picture, thumbnail, width_for

router = APIRouter(prefix="/api/images")

# Decoding has threads of its own: a list of thumbnails scrolling by must not hold up the saving of an edit.
_DECODERS = CapacityLimiter(2)


@router.get("/{image_id}/pixels")
async def pixels(
    image_id: RowId, request: Request, services: Context, w: Annotated[int | None, Query(ge=1, le=100_000)] = None
) -> Response:
    """The upright picture as JPEG or PNG; `w`: at least that many pixels wide, where the original is."""
    source = await to_thread.run_sync(_source, services, image_id)
    width = width_for(w, source)
    return await _serve(
        request, f"{source.sha256[:32]}-{width}", lambda: picture(source, width, services.workspace.cache)
    )


@router.get("/{image_id}/thumbnail")
async def small(image_id: RowId, request: Request, services: Context) -> Response:
    """The picture with a longest side of 160 px."""
    source = await to_thread.run_sync(_source, services, image_id)
    return await _serve(request, f"{source.sha256[:32]}-t", lambda: thumbnail(source, services.workspace.cache))


@router.get("/{image_id}/shapes")
def shapes(image_id: RowId, services: Context, who: Who) -> JSONResponse:
    """Everything the stage draws over an image."""
    with services.store.reading() as session:
        found = queries.image_shapes(session, image_id, who)
    services.prefetcher.opened(image_id)
    return JSONResponse(found)


@router.post("/{image_id}/edits")
def edit(image_id: RowId, body: Annotated[dict[str, Any], Body()], services: Context, who: Who) -> dict[str, Any]:
    """Apply one edit; the answer leaves only after the change is safely on disk."""
    wanted = Edit.from_json(image_id, who, body)
    with services.store.writing() as session:
        result = apply_edit(session, wanted)
    return {**asdict(result), "op_id": str(result.op_id)}


def _source(services: Context, image_id: int) -> Source:
    with services.store.reading() as session:
        row = queries.image_by_id(session, image_id)
        return Source(Path(row.path), row.sha256, row.width, row.height)


async def _serve(request: Request, tag: str, make: Callable[[], Picture]) -> Response:
    """The picture, or 304 when the browser has it.

    Browsers ask each time (it costs a millisecond): the same id means another image in another workspace.
    With `?v=` of the tag in the address that cannot happen, so then they need not.
    """
    fixed = request.query_params.get("v", "") == tag[:12]
    headers = {
        "etag": f'"{tag}"',
        "cache-control": f"private, {'max-age=31536000, immutable' if fixed else 'no-cache'}",
    }
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    made = await to_thread.run_sync(make, limiter=_DECODERS)
    return FileResponse(made.path, media_type=made.media_type, headers=headers)
