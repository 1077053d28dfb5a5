"""What models propose: kept apart from annotations, which nothing in here can change."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import numpy as np
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from annotations.edits import Edit, apply_edit
from annotations.errors import EditRefused, NotFound
from annotations.identifiers import ordered_uuids
from annotations.items import MAX_ITEMS
from annotations.models import Annotation, Category, Image, Prediction
from annotations.shapes import Box, checked_mask, clipped_box, four_numbers
from annotations.states import batches
from common.boxes import Boxes, iou
from common.masks import Rle

COVERED_IOU = 0.7
"""A proposal that overlaps an annotation of its category this much adds nothing."""

REJECTED_IOU = 0.9
"""A proposal that overlaps a rejected one of its category this much was already turned down."""


@dataclass(frozen=True)
class NewPrediction:
    """One box a model proposes.

    Attributes:
        category_id: of the image's dataset.
        xyxy: pixels of the upright image.
        score: in [0, 1].
        rle: its mask; None: box only.
        agreement: IoU with the box of a second detector, 0 where that one sees nothing; None: it was not asked.
        checkpoint: the model, where it is not that of the others.
    """

    category_id: int
    xyxy: Box
    score: float
    rle: Rle | None = None
    agreement: float | None = None
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyxy", four_numbers([float(side) for side in self.xyxy]))
        object.__setattr__(self, "score", float(self.score))
        if not 0 <= self.score <= 1:
            raise ValueError(f"The score {self.score} is not between 0 and 1.")


def save_predictions(
    session: Session,
    image_id: int,
    rows: Sequence[NewPrediction],
    *,
    checkpoint: str,
    prompt: str,
    run_id: UUID | None = None,
) -> int:
    """Replace what waits for review on an image; the number that now waits.

    Annotations stay as they are. A proposal over an annotation of the same category (IoU >= 0.7) is kept as
    'covered' and not shown; one over a rejected proposal (IoU >= 0.9) is dropped: that answer stands.
    Boxes are cut to the image; one with less than 1 px a side left is dropped.

    Raises:
        NotFound: no such image.
        EditRefused: a category of another dataset, or a mask that does not fit.
    """
    image = session.get(Image, image_id)
    if image is None:
        raise NotFound(f"There is no image {image_id}.")
    _check_rows(session, image, rows)
    replaced = (Prediction.image_id == image_id, Prediction.state.in_(["pending", "covered"]))
    session.execute(delete(Prediction).where(*replaced))
    annotated = _boxes_by_category(session, Annotation, Annotation.image_id == image_id)
    turned_down = (Prediction.image_id == image_id, Prediction.state == "rejected")
    rejected = _boxes_by_category(session, Prediction, *turned_down)
    pending = 0
    for row in rows:
        box = clipped_box(row.xyxy, image.width, image.height)
        if box is None or _overlaps(box, rejected.get(row.category_id), REJECTED_IOU):
            continue
        prediction = _new_prediction(image_id, row, box)
        prediction.checkpoint, prediction.prompt, prediction.run_id = row.checkpoint or checkpoint, prompt, run_id
        prediction.state = "covered" if _overlaps(box, annotated.get(row.category_id), COVERED_IOU) else "pending"
        pending += prediction.state == "pending"
        session.add(prediction)
    session.flush()
    return pending


def accept_above(session: Session, dataset_id: int, threshold: float, who: str) -> int:
    """Accept every waiting prediction of a dataset that scores at least `threshold`; how many.

    Each image gets one edit in its log, so that each can be undone.
    """
    accepted = 0
    for image_id, prediction_ids in _waiting(session, dataset_id, threshold):
        for numbers in batches(prediction_ids, MAX_ITEMS):
            ids = ordered_uuids()
            items = tuple({"prediction_id": number, "annotation_id": next(ids)} for number in numbers)
            result = apply_edit(session, Edit(uuid4(), "accept", image_id, who, items))
            accepted += len(items) - result.skipped
    return accepted


def _waiting(session: Session, dataset_id: int, threshold: float) -> Iterator[tuple[int, list[int]]]:
    query = (
        select(Prediction.image_id, Prediction.id)
        .join(Image, Image.id == Prediction.image_id)
        .where(Image.dataset_id == dataset_id, Prediction.state == "pending", Prediction.score >= threshold)
        .order_by(Image.position, Prediction.id)
    )
    by_image: dict[int, list[int]] = {}
    for image_id, prediction_id in session.execute(query):
        by_image.setdefault(image_id, []).append(prediction_id)
    yield from by_image.items()


def _check_rows(session: Session, image: Image, rows: Sequence[NewPrediction]) -> None:
    known = set(session.scalars(select(Category.id).where(Category.dataset_id == image.dataset_id)))
    for row in rows:
        if row.category_id not in known:
            raise EditRefused(f"Category {row.category_id} is not in the dataset of image {image.id}.")
        try:
            _ = row.rle is None or checked_mask(row.rle, image.width, image.height)
        except ValueError as error:
            raise EditRefused(str(error)) from error


def _new_prediction(image_id: int, row: NewPrediction, box: Box) -> Prediction:
    return Prediction(
        image_id=image_id,
        category_id=row.category_id,
        x1=box[0],
        y1=box[1],
        x2=box[2],
        y2=box[3],
        rle=row.rle,
        score=row.score,
        agreement=row.agreement,
    )


def _boxes_by_category(
    session: Session, table: type[Annotation] | type[Prediction], *conditions: ColumnElement[bool]
) -> dict[int, Boxes]:
    found: dict[int, list[Box]] = {}
    query = select(table.category_id, table.x1, table.y1, table.x2, table.y2).where(*conditions)
    for category_id, x1, y1, x2, y2 in session.execute(query):
        found.setdefault(category_id, []).append((x1, y1, x2, y2))
    return {category_id: np.array(boxes, np.float32) for category_id, boxes in found.items()}


def _overlaps(box: Box, others: Boxes | None, least_iou: float) -> bool:
    return others is not None and bool((iou(np.array([box], np.float32), others) >= least_iou).any())
