"""Rows as values: how the edit log remembers what an edit touched, and how that is put back."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotations.errors import EditRefused
from annotations.models import Annotation, Category, Image, Prediction

State = dict[str, Any]
"""Touched rows: {"annotations": {id: row or None}, "predictions": {id: state or None}, "done_at": text or None}."""

_Key = TypeVar("_Key")
_PLAIN_COLUMNS = ("category_id", "source", "score", "checkpoint", "prompt", "prediction_id", "iscrowd")
_PEOPLE_COLUMNS = ("created_by", "updated_by")


class Touched:
    """The rows of one image that one edit touches: loaded together, remembered as they were."""

    def __init__(self, session: Session, image: Image) -> None:
        self.image = image
        self.annotations: dict[UUID, Annotation | None] = {}
        self.predictions: dict[int, Prediction | None] = {}
        self._session = session
        self._before: State = {}

    def load(self, annotation_ids: Collection[UUID] = (), prediction_ids: Collection[int] = ()) -> None:
        """Fetch the rows and remember them; None stands for one that is not there.

        Raises:
            EditRefused: a row of another image.
        """
        self.annotations |= dict.fromkeys(annotation_ids)
        self.predictions |= dict.fromkeys(prediction_ids)
        for ids in batches(list(annotation_ids)):
            for annotation in self._session.scalars(select(Annotation).where(Annotation.id.in_(ids))):
                self._check_image(annotation.image_id, f"Annotation {annotation.id}")
                self.annotations[annotation.id] = annotation
        for numbers in batches(list(prediction_ids)):
            for prediction in self._session.scalars(select(Prediction).where(Prediction.id.in_(numbers))):
                self._check_image(prediction.image_id, f"Prediction {prediction.id}")
                self.predictions[prediction.id] = prediction
        self._before |= self._state()

    def add(self, annotation: Annotation) -> None:
        """A new row, whose id was loaded before."""
        self._session.add(annotation)
        self.annotations[annotation.id] = annotation

    def remove(self, annotation_id: UUID) -> None:
        """Delete a row that is there."""
        self._session.delete(self.annotations[annotation_id])
        self.annotations[annotation_id] = None

    def mark(self, done_at: datetime | None) -> None:
        """Say that the image is fully labelled, or that it is not."""
        self._before.setdefault("done_at", _text(self.image.done_at))
        self.image.done_at = done_at

    def before(self) -> State:
        """What was loaded, as it was then."""
        return self._before

    def after(self) -> State:
        """The same rows as they are now."""
        state = self._state()
        if "done_at" in self._before:
            state["done_at"] = _text(self.image.done_at)
        return state

    def _state(self) -> State:
        state: State = {}
        if self.annotations:
            state["annotations"] = {str(key): _row(value) for key, value in self.annotations.items()}
        if self.predictions:
            state["predictions"] = {str(key): value.state if value else None for key, value in self.predictions.items()}
        return state

    def _check_image(self, image_id: int, what: str) -> None:
        if image_id != self.image.id:
            raise EditRefused(f"{what} is not on image {self.image.id}. Reload the page.")


def put_back(session: Session, touched: Touched, present: State, wanted: State) -> int:
    """Make `wanted` of every row that still stands as `present` says; the number of rows left as they are.

    A row that somebody changed since, or whose category is gone, is left alone: undo never takes back
    another person's work.
    """
    skipped = 0
    annotation_ids = [UUID(key) for key in wanted.get("annotations", {})]
    prediction_ids = [int(key) for key in wanted.get("predictions", {})]
    touched.load(annotation_ids, prediction_ids)
    standing = _standing(session, touched.image, wanted)
    for number in prediction_ids:
        row = touched.predictions[number]
        if row is None or row.state != present["predictions"][str(number)]:
            skipped += 1
            continue
        row.state = wanted["predictions"][str(number)]
    for annotation_id in annotation_ids:
        value = wanted["annotations"][str(annotation_id)]
        unchanged = _row(touched.annotations[annotation_id]) == present["annotations"][str(annotation_id)]
        if unchanged and (value is None or value["category_id"] in standing.categories):
            _write(touched, annotation_id, value, standing)
        else:
            skipped += 1
    if "done_at" in wanted:
        if _text(touched.image.done_at) == present["done_at"]:
            touched.mark(datetime.fromisoformat(wanted["done_at"]) if wanted["done_at"] else None)
        else:
            skipped += 1
    return skipped


def batches(values: Sequence[_Key], size: int = 500) -> Iterator[Sequence[_Key]]:
    """The values in groups: a database takes only so many parameters in one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


@dataclass(frozen=True)
class _Standing:
    """Ids that a row put back may still point to."""

    categories: frozenset[int]
    predictions: frozenset[int]


def _standing(session: Session, image: Image, wanted: State) -> _Standing:
    categories = session.scalars(select(Category.id).where(Category.dataset_id == image.dataset_id))
    named = [row["prediction_id"] for row in wanted.get("annotations", {}).values() if row and row["prediction_id"]]
    predictions: set[int] = set()
    for numbers in batches(named):
        predictions.update(session.scalars(select(Prediction.id).where(Prediction.id.in_(numbers))))
    return _Standing(frozenset(categories), frozenset(predictions))


def _write(touched: Touched, annotation_id: UUID, value: Mapping[str, Any] | None, standing: _Standing) -> None:
    row = touched.annotations[annotation_id]
    if value is None:
        if row is not None:
            touched.remove(annotation_id)
        return
    if row is None:
        row = Annotation(id=annotation_id, image_id=touched.image.id)
        touched.add(row)
    for name in (*_PLAIN_COLUMNS, *_PEOPLE_COLUMNS):
        setattr(row, name, value[name])
    if row.prediction_id not in standing.predictions:
        row.prediction_id = None  # that prediction made way for newer ones
    row.x1, row.y1, row.x2, row.y2 = value["xyxy"]
    row.rle = value["mask"]
    row.created_at = datetime.fromisoformat(value["created_at"])
    row.updated_at = datetime.fromisoformat(value["updated_at"]) if value["updated_at"] else None


def _row(row: Annotation | None) -> dict[str, Any] | None:
    if row is None:
        return None
    value = {name: getattr(row, name) for name in (*_PLAIN_COLUMNS, *_PEOPLE_COLUMNS)}
    value |= {"xyxy": [row.x1, row.y1, row.x2, row.y2], "mask": row.rle}
    return value | {"created_at": _text(row.created_at), "updated_at": _text(row.updated_at)}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
