"""The examples: what there is to try, their pictures, and the dataset they become."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from app.routes.context import Context
from app.services.examples import SCENES, examples

router = APIRouter(prefix="/api")


@router.get("/examples")
def list_examples() -> dict[str, Any]:
    """Each picture with the question to try on it."""
    return {"examples": [asdict(example) for example in examples()]}


@router.get("/examples/{file}")
def picture(file: str) -> FileResponse:
    """The picture of an example, before it is in any dataset."""
    if file not in {example.file for example in examples()}:
        raise HTTPException(404, "There is no such example.")
    return FileResponse(SCENES / file, media_type="image/jpeg", headers={"cache-control": "private, no-cache"})


@router.post("/datasets/examples")
def create_examples(services: Context) -> dict[str, Any]:
    """The example dataset, made when it is not there, and the ids of its pictures by their files' names."""
    dataset_id, image_ids = services.importer.create_examples()
    return {"dataset_id": dataset_id, "image_ids": image_ids}
