"""What comes in and goes out: imports by path, uploads, exports with their download."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from annotations import queries
from annotations.importers import Format
from app.routes.context import Context, RawBody, RowId
from app.services.exporting import export_dataset, export_folder, zip_export
from app.services.jobs import Job

router = APIRouter(prefix="/api")


class ImportBody(BaseModel):
    """Body of `POST /api/datasets/import`; the dataset is made when it does not exist."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=200)
    path: str = Field(min_length=1, max_length=4096)
    format: Format = "auto"
    split: Literal["train", "val", "test"] | None = None


class ExportBody(BaseModel):
    """Body of `POST /api/datasets/{id}/export`."""

    model_config = ConfigDict(extra="forbid")
    format: str = "coco"
    images: Literal["copy", "link", "none"] = "copy"
    masks: Literal["rle", "polygons"] = "rle"


@router.post("/datasets/import")
def start_import(body: ImportBody, services: Context) -> dict[str, str]:
    """Queue an import of a folder or label file on this machine; the job's result is the report."""
    return {"job": str(services.importer.start(body.name, body.path, body.format, body.split))}


@router.post("/datasets/{dataset_id}/upload")
def upload(
    dataset_id: RowId, name: Annotated[str, Query(min_length=1, max_length=1000)], body: RawBody, services: Context
) -> dict[str, int]:
    """Add one image, sent as the raw body."""
    return {"image_id": services.importer.upload(dataset_id, name, body)}


@router.post("/datasets/{dataset_id}/export")
def start_export(dataset_id: RowId, body: ExportBody, services: Context) -> dict[str, str]:
    """Queue an export into the workspace; the job's result holds the counts and where it is."""
    with services.store.reading() as session:
        dataset = queries.dataset_by_id(session, dataset_id).name
    folder = export_folder(services.workspace.exports, dataset)

    def work(job: Job) -> dict[str, object]:
        report = export_dataset(
            services.store,
            dataset,
            folder,
            format=body.format,
            images=body.images,
            masks=body.masks,
            progress=job.progress_or_end,
        )
        return {**asdict(report), "folder": str(folder), "name": folder.name}

    return {"job": str(services.jobs.start(work))}


@router.get("/exports/{name}/zip")
def download(name: str, services: Context) -> FileResponse:
    """An export as one zip file."""
    exports = {path.name: path for path in services.workspace.exports.iterdir() if path.is_dir()}
    if name not in exports or name.startswith("."):
        raise HTTPException(404, "There is no such export: it may have been deleted.")
    return FileResponse(zip_export(exports[name]), media_type="application/zip", filename=f"{name}.zip")
