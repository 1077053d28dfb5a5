"""Datasets, their images as a list, and their categories."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from annotations import categories as kinds
from annotations import queries
from annotations.datasets import create_dataset
from app.routes.context import LARGEST_ID, Context, RowId
from engine.ontology import Category

router = APIRouter(prefix="/api")

MOST_ROWS = 500


class NewDataset(BaseModel):
    """Body of `POST /api/datasets`."""

    model_config = ConfigDict(extra="forbid")
    name: str


class NewCategory(BaseModel):
    """Body of `POST /api/datasets/{id}/categories`; without phrases the name is what the detector is asked for."""

    model_config = ConfigDict(extra="forbid")
    name: str
    phrases: list[str] | None = Field(default=None, max_length=100)


class CategoryChange(BaseModel):
    """Body of `PATCH /api/categories/{id}`: only what is there changes; a null threshold means the common one."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    color: str | None = None
    threshold: float | None = None
    phrases: list[str] | None = Field(default=None, max_length=100)


@router.get("/datasets")
def list_datasets(services: Context) -> dict[str, Any]:
    """All datasets with their counts."""
    with services.store.reading() as session:
        return {"datasets": [asdict(summary) for summary in queries.datasets(session)]}


@router.post("/datasets")
def new_dataset(body: NewDataset, services: Context) -> dict[str, Any]:
    """An empty dataset."""
    with services.store.writing() as session:
        return {"dataset_id": create_dataset(session, body.name).id}


@router.get("/datasets/{dataset_id}/images")
def list_images(
    dataset_id: RowId,
    services: Context,
    offset: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 100,
    which: Annotated[Literal["all", "new", "review", "disputed", "done"], Query(alias="filter")] = "all",
    search: Annotated[str, Query(max_length=200)] = "",
) -> JSONResponse:
    """One page of a dataset's images."""
    with services.store.reading() as session:
        page = queries.images_page(session, dataset_id, offset, limit, which, search)
    return JSONResponse({"total": page.total, "items": [asdict(row) for row in page.items]})


@router.get("/datasets/{dataset_id}/categories")
def list_categories(dataset_id: RowId, services: Context) -> dict[str, Any]:
    """A dataset's categories in their order."""
    with services.store.reading() as session:
        queries.dataset_by_id(session, dataset_id)
        return {"categories": [queries.category_json(row) for row in queries.categories(session, dataset_id)]}


@router.post("/datasets/{dataset_id}/categories")
def new_category(dataset_id: RowId, body: NewCategory, services: Context) -> dict[str, Any]:
    """A new category; its name is kept as it was typed."""
    _check_phrases(body.name, body.phrases)
    with services.store.writing() as session:
        return queries.category_json(kinds.add_category(session, dataset_id, body.name, body.phrases or ()))


@router.patch("/categories/{category_id}")
def change_category(category_id: RowId, body: CategoryChange, services: Context) -> dict[str, Any]:
    """Rename, recolour, give other phrases, or a threshold of its own."""
    with services.store.writing() as session:
        if body.name is not None:
            kinds.rename_category(session, category_id, body.name)
        if body.color is not None:
            kinds.recolour_category(session, category_id, body.color)
        if body.phrases is not None:
            _check_phrases(kinds.category_by_id(session, category_id).name, body.phrases)
            kinds.set_phrases(session, category_id, body.phrases)
        if "threshold" in body.model_fields_set:
            kinds.set_threshold(session, category_id, body.threshold)
        return queries.category_json(kinds.category_by_id(session, category_id))


@router.delete("/categories/{category_id}")
def remove_category(category_id: RowId, services: Context) -> dict[str, Any]:
    """Remove a category that nothing uses."""
    with services.store.writing() as session:
        kinds.delete_category(session, category_id)
    return {"deleted": category_id}


def _check_phrases(name: str, phrases: Sequence[str] | None) -> None:
    """Refuse a phrase that would stop every later prompt for its category."""
    if phrases:
        Category(name, tuple(phrases))
