"""The one way a person's work changes: an edit with its own id, applied once, remembered for ever."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotations.errors import EditRefused, NotFound
from annotations.history import histories
from annotations.items import checked_items
from annotations.models import Annotation, Category, EditKind, EditLog, Image, utc_now
from annotations.names import checked_name
from annotations.shapes import Box, checked_mask, clipped_box, is_translation, moved_mask
from annotations.states import Touched, put_back
from common.masks import Rle


@dataclass(frozen=True)
class Edit:
    """What a person wants changed on one image; it checks itself.

    Items by kind (boxes in pixels of the upright image, `mask` is COCO RLE or None):
        create: {"id": UUID, "category_id", "xyxy", "mask"?}
        update: {"id": UUID, and any of "category_id", "xyxy", "mask"}
        delete: {"id": UUID}
        accept: {"prediction_id", "annotation_id": UUID}
        reject: {"prediction_id"}
        mark: {"done": bool}, exactly one
        undo, redo: none

    Raises:
        EditRefused: one line for the first fault found.
    """

    op_id: UUID
    kind: EditKind
    image_id: int
    who: str
    items: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(EditKind):
            raise EditRefused(f"Unknown kind of edit {self.kind!r}. Use one of {', '.join(get_args(EditKind))}.")
        try:
            object.__setattr__(self, "who", checked_name(self.who, "person's name"))
            object.__setattr__(self, "items", checked_items(self.kind, self.items))
        except ValueError as error:
            raise EditRefused(str(error)) from error

    @classmethod
    def from_json(cls, image_id: int, who: str, payload: object) -> "Edit":
        """The edit a page sent as {"op_id", "kind", "items"}.

        Raises:
            EditRefused: one line for the first fault found.
        """
        if not isinstance(payload, Mapping):
            raise EditRefused("An edit is an object with op_id, kind and items.")
        items = payload.get("items") or ()
        if not isinstance(items, list | tuple):
            raise EditRefused("The items of an edit are a list.")
        try:
            op_id = UUID(str(payload.get("op_id")))
        except ValueError as error:
            raise EditRefused(f"op_id is {str(payload.get('op_id'))[:60]!r}, not a UUID.") from error
        return cls(op_id, cast(EditKind, payload.get("kind")), image_id, who, tuple(items))


@dataclass(frozen=True)
class EditResult:
    """What came of an edit; the same again when the same edit is sent again."""

    op_id: UUID
    seq: int  # place in the log
    revision: int  # the image's number of edits after this one
    already_applied: bool
    skipped: int  # items that no longer applied: gone, or changed by somebody else


def apply_edit(session: Session, edit: Edit) -> EditResult:
    """Apply an edit and log it, within the caller's unit of work: all of it or, when refused, nothing.

    An edit that was applied before (same `op_id`) changes nothing and answers as it did then.
    Undo and redo walk the log of this image and this person.

    Raises:
        NotFound: no such image.
        EditRefused: an item breaks a rule, or there is nothing to undo.
    """
    image = session.get(Image, edit.image_id, with_for_update=True)
    if image is None:
        raise NotFound(f"There is no image {edit.image_id}. Reload the page.")
    logged = session.scalar(select(EditLog).where(EditLog.op_id == edit.op_id))
    if logged is not None:
        return _answer_again(logged, edit)
    touched = Touched(session, image)
    undoes = None
    if edit.kind in ("undo", "redo"):
        undoes, skipped = _walk_back(session, touched, edit)
    else:
        skipped = _ACTIONS[edit.kind](session, touched, edit)
    image.revision += 1
    session.flush()  # fills in defaults, so that the log sees what the table holds
    entry = EditLog(
        op_id=edit.op_id,
        who=edit.who,
        kind=edit.kind,
        dataset_id=image.dataset_id,
        image_id=image.id,
        before=touched.before(),
        after=touched.after(),
        undoes=undoes,
        revision=image.revision,
        skipped=skipped,
    )
    session.add(entry)
    session.flush()
    return EditResult(edit.op_id, entry.seq, image.revision, already_applied=False, skipped=skipped)


def _answer_again(logged: EditLog, edit: Edit) -> EditResult:
    if (logged.image_id, logged.kind, logged.who) != (edit.image_id, edit.kind, edit.who):
        raise EditRefused(f"op_id {edit.op_id} belongs to another edit. Make a new one for each edit.")
    return EditResult(edit.op_id, logged.seq, logged.revision, already_applied=True, skipped=logged.skipped)


def _walk_back(session: Session, touched: Touched, edit: Edit) -> tuple[int, int]:
    """Reverse the newest edit (undo) or the newest undo (redo); its log number, and how many rows were left alone."""
    history = histories(session, edit.image_id, edit.who).get(edit.who)
    stack = () if history is None else history.undoable if edit.kind == "undo" else history.redoable
    if not stack:
        raise EditRefused(f"There is nothing to {edit.kind} on this image.")
    entry = session.get_one(EditLog, stack[-1])
    return entry.seq, put_back(session, touched, present=entry.after, wanted=entry.before)


def _create(session: Session, touched: Touched, edit: Edit) -> int:
    _check_categories(session, touched.image, edit)
    touched.load([item["id"] for item in edit.items])
    for item in edit.items:
        _refuse_existing(touched, item["id"])
        box = _box_on(touched.image, item["xyxy"])
        row = _new_annotation(touched.image, item["id"], item["category_id"], box, edit.who)
        row.rle = _mask_on(touched.image, item.get("mask"))
        touched.add(row)
    return 0


def _update(session: Session, touched: Touched, edit: Edit) -> int:
    _check_categories(session, touched.image, edit)
    touched.load([item["id"] for item in edit.items])
    skipped = 0
    for item in edit.items:
        row = touched.annotations[item["id"]]
        if row is None:
            skipped += 1
            continue
        if "category_id" in item:
            row.category_id = item["category_id"]
        if "xyxy" in item:
            _reshape(touched.image, row, item["xyxy"])
        if "mask" in item:
            row.rle = _mask_on(touched.image, item["mask"])
        row.updated_by, row.updated_at = edit.who, utc_now()
    return skipped


def _reshape(image: Image, row: Annotation, wanted: Box) -> None:
    """Give the row another box: a mask goes along when the box only moved, and is dropped when it changed its size."""
    old = (row.x1, row.y1, row.x2, row.y2)
    box = _box_on(image, wanted)
    if row.rle is not None and is_translation(old, wanted):
        row.rle = moved_mask(row.rle, wanted[0] - old[0], wanted[1] - old[1])
    elif box != old:
        row.rle = None
    row.x1, row.y1, row.x2, row.y2 = box


def _delete(_session: Session, touched: Touched, edit: Edit) -> int:
    touched.load([item["id"] for item in edit.items])
    present = [item["id"] for item in edit.items if touched.annotations[item["id"]] is not None]
    for annotation_id in present:
        touched.remove(annotation_id)
    return len(edit.items) - len(present)


def _accept(_session: Session, touched: Touched, edit: Edit) -> int:
    touched.load(
        [item["annotation_id"] for item in edit.items], prediction_ids=[item["prediction_id"] for item in edit.items]
    )
    skipped = 0
    for item in edit.items:
        _refuse_existing(touched, item["annotation_id"])
        prediction = touched.predictions[item["prediction_id"]]
        if prediction is None or prediction.state != "pending":
            skipped += 1
            continue
        prediction.state = "accepted"
        box = (prediction.x1, prediction.y1, prediction.x2, prediction.y2)
        row = _new_annotation(touched.image, item["annotation_id"], prediction.category_id, box, edit.who)
        row.source, row.score, row.prediction_id = "model", prediction.score, prediction.id
        row.checkpoint, row.prompt, row.rle = prediction.checkpoint, prediction.prompt, prediction.rle
        touched.add(row)
    return skipped


def _reject(_session: Session, touched: Touched, edit: Edit) -> int:
    touched.load(prediction_ids=[item["prediction_id"] for item in edit.items])
    skipped = 0
    for prediction in touched.predictions.values():
        if prediction is None or prediction.state != "pending":
            skipped += 1
        else:
            prediction.state = "rejected"
    return skipped


def _mark(_session: Session, touched: Touched, edit: Edit) -> int:
    done = edit.items[0]["done"]
    touched.mark((touched.image.done_at or utc_now()) if done else None)
    return 0


_ACTIONS: dict[str, Callable[[Session, Touched, Edit], int]] = {
    "create": _create,
    "update": _update,
    "delete": _delete,
    "accept": _accept,
    "reject": _reject,
    "mark": _mark,
}


def _new_annotation(image: Image, annotation_id: UUID, category_id: int, box: Box, who: str) -> Annotation:
    return Annotation(
        id=annotation_id,
        image_id=image.id,
        category_id=category_id,
        x1=box[0],
        y1=box[1],
        x2=box[2],
        y2=box[3],
        source="person",
        created_by=who,
        created_at=utc_now(),
    )


def _check_categories(session: Session, image: Image, edit: Edit) -> None:
    wanted = {item["category_id"] for item in edit.items if "category_id" in item}
    if not wanted:
        return
    known = set(session.scalars(select(Category.id).where(Category.dataset_id == image.dataset_id)))
    if unknown := wanted - known:
        raise EditRefused(f"Category {min(unknown)} is not in this dataset. Reload the page.")


def _refuse_existing(touched: Touched, annotation_id: UUID) -> None:
    if touched.annotations[annotation_id] is not None:
        raise EditRefused(f"There already is an annotation {annotation_id}. Give each new one its own id.")


def _box_on(image: Image, wanted: Box) -> Box:
    box = clipped_box(wanted, image.width, image.height)
    if box is None:
        raise EditRefused(
            f"The box {[round(side, 1) for side in wanted]} covers less than 1 px a side of the "
            f"{image.width} x {image.height} px image. Draw a larger one."
        )
    return box


def _mask_on(image: Image, mask: Rle | None) -> Rle | None:
    if mask is None:
        return None
    try:
        return checked_mask(mask, image.width, image.height)
    except ValueError as error:
        raise EditRefused(str(error)) from error
