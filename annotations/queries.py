"""What pages, commands and training read; every count is counted, none is kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from annotations.errors import EditRefused, NotFound
from annotations.history import can_undo_redo
from annotations.models import Annotation, Category, Dataset, Image, Prediction, Split
from common.boxes import Boxes
from common.masks import Rle

Filter = Literal["all", "new", "review", "disputed", "done"]
"""new: nothing to review and not done; review: predictions wait; disputed: one of two detectors alone sees some of
them; done: marked as fully labelled."""


@dataclass(frozen=True)
class DatasetSummary:
    """A dataset with its counts: `done` images are fully labelled, `pending` predictions wait for a person."""

    id: int
    name: str
    images: int
    done: int
    annotations: int
    pending: int
    prompt: str | None


@dataclass(frozen=True)
class ImageRow:
    """An image as the list shows it; width and height in upright pixels."""

    id: int
    file_name: str
    width: int
    height: int
    split: Split | None
    done: bool
    annotations: int
    pending: int


@dataclass(frozen=True)
class ImagesPage:
    """Some of the images that match, and how many match in all."""

    total: int
    items: list[ImageRow]


@dataclass(frozen=True)
class LabelledImage:
    """An image to learn from: it has annotations, or a person said that it shows nothing (done and empty).

    What an image has no box of may be on it all the same, unless it is `done`, or every prediction of that category
    was rejected on it (`absent_ids`).
    """

    id: int
    path: str
    file_name: str
    width: int
    height: int
    split: Split | None
    boxes_xyxy: Boxes  # (N, 4) float32 pixels
    category_ids: NDArray[np.int64]  # (N,) Category.id
    rles: list[Rle | None]  # N
    iscrowd: NDArray[np.bool_]  # (N,)
    done: bool = False  # labelled completely: a person marked it, or it was imported with its labels
    absent_ids: frozenset[int] = frozenset()  # of an image that is not done: the categories a person turned down

    def absent_of(self, category_ids: Iterable[int]) -> frozenset[int]:
        """Those of `category_ids` that are known not to be on the image."""
        if self.done:
            return frozenset(category_ids) - set(self.category_ids.tolist())
        return self.absent_ids.intersection(category_ids)


def datasets(session: Session) -> list[DatasetSummary]:
    """All datasets with their counts, by name."""
    return [_summary(row) for row in session.execute(_summaries().order_by(Dataset.name))]


def dataset_by_name(session: Session, name: str) -> DatasetSummary:
    """One dataset with its counts.

    Raises:
        NotFound: with the names that there are.
    """
    row = session.execute(_summaries().where(Dataset.name == name)).first()
    if row is None:
        known = ", ".join(
            repr(known) for known in session.scalars(select(Dataset.name).order_by(Dataset.name).limit(5))
        )
        raise NotFound(f"There is no dataset {name!r}. " + (f"There are: {known}." if known else "Import one first."))
    return _summary(row)


def dataset_by_id(session: Session, dataset_id: int) -> DatasetSummary:
    """One dataset with its counts, or NotFound."""
    row = session.execute(_summaries().where(Dataset.id == dataset_id)).first()
    if row is None:
        raise NotFound(f"There is no dataset {dataset_id}. Reload the page.")
    return _summary(row)


def images_page(
    session: Session, dataset_id: int, offset: int = 0, limit: int = 100, filter: Filter = "all", search: str = ""
) -> ImagesPage:
    """A page of the image list, in import order: two statements whatever the number of images.

    Raises:
        EditRefused: an unknown filter.
    """
    conditions = [Image.dataset_id == dataset_id, *_matches(filter)]
    if search:
        conditions.append(Image.file_name.icontains(search, autoescape=True))
    total = session.scalar(select(func.count()).select_from(Image).where(*conditions)) or 0
    rows = session.execute(
        select(
            Image.id,
            Image.file_name,
            Image.width,
            Image.height,
            Image.split,
            Image.done_at.is_not(None),
            _annotation_count(),
            _pending_count(),
        )
        .where(*conditions)
        .order_by(Image.position)
        .offset(max(offset, 0))
        .limit(max(limit, 0))
    )
    return ImagesPage(total, [ImageRow(*row) for row in rows])


def image_by_id(session: Session, image_id: int) -> Image:
    """The image, or NotFound."""
    image = session.get(Image, image_id)
    if image is None:
        raise NotFound(f"There is no image {image_id}. Reload the page.")
    return image


def image_shapes(session: Session, image_id: int, who: str | None = None) -> dict[str, Any]:
    """All there is to draw on one image, as the JSON the page reads.

    Args:
        session: to read from.
        image_id: which image.
        who: whose undo and redo to look at; None: anyone's.

    Raises:
        NotFound: no such image.
    """
    image = image_by_id(session, image_id)
    can_undo, can_redo = can_undo_redo(session, image_id, who)
    return {
        "image": {
            "id": image.id,
            "file_name": image.file_name,
            "width": image.width,
            "height": image.height,
            "done": image.done_at is not None,
            "split": image.split,
            "revision": image.revision,
        },
        "categories": [category_json(category) for category in categories(session, image.dataset_id)],
        "annotations": _annotations_json(session, image_id),
        "predictions": _predictions_json(session, image_id),
        "can_undo": can_undo,
        "can_redo": can_redo,
    }


def categories(session: Session, dataset_id: int) -> list[Category]:
    """The dataset's categories with their phrases, oldest first."""
    query = select(Category).where(Category.dataset_id == dataset_id).order_by(Category.id)
    return list(session.scalars(query))


def category_json(category: Category) -> dict[str, Any]:
    """A category as the page reads it."""
    return {
        "id": category.id,
        "name": category.name,
        "color": category.color,
        "phrases": [phrase.text for phrase in category.phrases],
        "threshold": category.threshold,
        "coco_id": category.coco_id,
    }


def labelled_images(session: Session, dataset_id: int, split: Split | None = None) -> list[LabelledImage]:
    """The images to learn from or to be measured on, in import order; three statements.

    Args:
        session: to read from.
        dataset_id: which dataset.
        split: only images of this split; None: all, whatever their split.
    """
    has_annotation = exists().where(Annotation.image_id == Image.id).correlate(Image)
    conditions = [Image.dataset_id == dataset_id, Image.done_at.is_not(None) | has_annotation]
    if split is not None:
        conditions.append(Image.split == split)
    images = session.execute(
        select(
            Image.id,
            Image.path,
            Image.file_name,
            Image.width,
            Image.height,
            Image.split,
            Image.done_at.is_not(None).label("done"),
        )
        .where(*conditions)
        .order_by(Image.position)
    ).all()
    labels: dict[int, list[_Label]] = {row.id: [] for row in images}
    query = (
        select(
            Annotation.image_id,
            Annotation.category_id,
            Annotation.x1,
            Annotation.y1,
            Annotation.x2,
            Annotation.y2,
            Annotation.rle,
            Annotation.iscrowd,
        )
        .join(Image, Image.id == Annotation.image_id)
        .where(*conditions)
        .order_by(Annotation.image_id, *annotation_order())
    )
    for image_id, *label in session.execute(query):
        labels[image_id].append(tuple(label))
    absent = _turned_down(session, conditions)
    return [_labelled(row, labels[row.id], frozenset(absent.get(row.id, ()))) for row in images]


def annotation_order() -> tuple[Any, ...]:
    """Oldest first; imported ones, made at one moment, by their ascending ids."""
    return Annotation.created_at, Annotation.id


_Label = tuple[Any, ...]  # category_id, x1, y1, x2, y2, rle, iscrowd


def _turned_down(session: Session, conditions: Sequence[ColumnElement[bool]]) -> dict[int, list[int]]:
    """Of each image that is not done, the categories without annotation whose predictions were all rejected."""
    of_category = (Annotation.image_id == Prediction.image_id, Annotation.category_id == Prediction.category_id)
    query = (
        select(Prediction.image_id, Prediction.category_id)
        .join(Image, Image.id == Prediction.image_id)
        .where(*conditions, Image.done_at.is_(None), ~exists().where(*of_category).correlate(Prediction))
        .group_by(Prediction.image_id, Prediction.category_id)
        .having(func.max(Prediction.state) == "rejected", func.min(Prediction.state) == "rejected")
    )
    found: dict[int, list[int]] = {}
    for image_id, category_id in session.execute(query):
        found.setdefault(image_id, []).append(category_id)
    return found


def _labelled(row: Any, labels: list[_Label], absent_ids: frozenset[int]) -> LabelledImage:
    return LabelledImage(
        row.id,
        row.path,
        row.file_name,
        row.width,
        row.height,
        row.split,
        boxes_xyxy=np.array([label[1:5] for label in labels], np.float32).reshape(-1, 4),
        category_ids=np.array([label[0] for label in labels], np.int64),
        rles=[label[5] for label in labels],
        iscrowd=np.array([label[6] for label in labels], np.bool_),
        done=bool(row.done),
        absent_ids=absent_ids,
    )


def _annotation_count() -> ColumnElement[int]:
    return select(func.count()).where(Annotation.image_id == Image.id).correlate(Image).scalar_subquery()


def _pending_count() -> ColumnElement[int]:
    pending = (Prediction.image_id == Image.id, Prediction.state == "pending")
    return select(func.count()).where(*pending).correlate(Image).scalar_subquery()


def _matches(filter: Filter) -> list[ColumnElement[bool]]:
    has_pending = _has_pending()
    rules: dict[str, list[ColumnElement[bool]]] = {
        "all": [],
        "new": [Image.done_at.is_(None), ~has_pending],
        "review": [Image.done_at.is_(None), has_pending],
        "disputed": [Image.done_at.is_(None), _has_pending(Prediction.agreement == 0)],
        "done": [Image.done_at.is_not(None)],
    }
    if filter not in rules:
        raise EditRefused(f"Unknown filter {filter!r}. Use one of {', '.join(get_args(Filter))}.")
    return rules[filter]


def _has_pending(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(Prediction.image_id == Image.id, Prediction.state == "pending", *conditions)


def _summaries() -> Select[Any]:
    of_dataset = Image.dataset_id == Dataset.id
    images = select(func.count()).where(of_dataset)
    annotations = select(func.count()).select_from(Annotation).join(Image, Image.id == Annotation.image_id)
    pending = select(func.count()).select_from(Prediction).join(Image, Image.id == Prediction.image_id)
    return select(
        Dataset.id,
        Dataset.name,
        images.correlate(Dataset).scalar_subquery(),
        images.where(Image.done_at.is_not(None)).correlate(Dataset).scalar_subquery(),
        annotations.where(of_dataset).correlate(Dataset).scalar_subquery(),
        pending.where(of_dataset, Prediction.state == "pending").correlate(Dataset).scalar_subquery(),
        Dataset.prompt,
    )


def _summary(row: Any) -> DatasetSummary:
    return DatasetSummary(*row)


def _annotations_json(session: Session, image_id: int) -> list[dict[str, Any]]:
    columns = select(
        Annotation.id,
        Annotation.category_id,
        Annotation.x1,
        Annotation.y1,
        Annotation.x2,
        Annotation.y2,
        Annotation.rle,
        Annotation.source,
        Annotation.score,
        Annotation.checkpoint,
        Annotation.prompt,
        Annotation.created_by,
        Annotation.updated_by,
    )
    rows = session.execute(columns.where(Annotation.image_id == image_id).order_by(*annotation_order()))
    names = ("id", "category_id", "xyxy", "mask", "source", "score", "checkpoint", "prompt", "created_by", "updated_by")
    return [dict(zip(names, (str(row[0]), row[1], list(row[2:6]), *row[6:]), strict=True)) for row in rows]


def _predictions_json(session: Session, image_id: int) -> list[dict[str, Any]]:
    query = (
        select(
            Prediction.id,
            Prediction.category_id,
            Prediction.x1,
            Prediction.y1,
            Prediction.x2,
            Prediction.y2,
            Prediction.rle,
            Prediction.score,
            Prediction.checkpoint,
            Prediction.prompt,
            Prediction.agreement,
        )
        .where(Prediction.image_id == image_id, Prediction.state == "pending")
        .order_by(Prediction.id)
    )
    names = ("id", "category_id", "xyxy", "mask", "score", "checkpoint", "prompt", "agreement")
    return [dict(zip(names, (*row[:2], list(row[2:6]), *row[6:]), strict=True)) for row in session.execute(query)]
