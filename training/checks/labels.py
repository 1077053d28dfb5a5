"""The labels of a dataset: categories, splits and boxes that teach nothing, or something wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotations.queries import LabelledImage
from common.boxes import Boxes
from training.checks.problem import Problem, counted, error, warning
from training.checks.subject import Parts, Subject

if TYPE_CHECKING:
    from engine.preprocessing import Preprocessing

LEAST_SIDE_PX = 8  # at the working size: a box below it is smaller than a cell of the finest feature map
LEAST_IMAGES = 10
_LEAST_BOXES = 5  # of a category
_SAME_PX = 1.0  # edges nearer than this are the same edge
_STEP_PX = 32
_LARGEST_SIDE_PX = 4096


@dataclass(frozen=True)
class _Table:
    """All boxes of some images, one row each: (N, 4) pixels, (N,) category, (N,) image and (N, 2) its width, height."""

    images: Sequence[LabelledImage]
    boxes: Boxes
    classes: NDArray[np.int64]
    rows: NDArray[np.int64]
    sizes: NDArray[np.float32]

    def names(self, chosen: NDArray[np.bool_]) -> list[str]:
        """File names of the images of the chosen boxes."""
        return [self.images[row].file_name for row in np.unique(self.rows[chosen]).tolist()]


def check_labels(subject: Subject, parts: Parts, novel: Sequence[str] = ()) -> Iterator[Problem]:
    """What can be seen from the labels alone.

    Args:
        subject: the dataset.
        parts: its images by what a run does with them.
        novel: categories that a run of mode "open" holds out.
    """
    yield from _splits(subject, parts)
    yield from _categories(subject, parts, novel)
    yield from _boxes(_table([*parts.train, *_others(parts)]))
    yield from _unfinished(subject, parts)
    yield from _never_absent(subject, parts)


def check_sizes(parts: Parts, preprocessing: "Preprocessing", queries: int) -> Iterator[Problem]:
    """What depends on the detector: boxes too small for the size it works at, more boxes than it can find.

    Args:
        parts: the images.
        preprocessing: at the size the taught detector works at.
        queries: the most objects it can find on one image.
    """
    crowded = [image.file_name for image in parts.train if len(image.boxes_xyxy) > queries]
    if crowded:
        what = f"{counted(len(crowded), 'image')} with more boxes than the {queries:,} objects the detector can find"
        yield warning("more_boxes_than_queries", what, "Cut such images into tiles.", crowded)
    table = _table(parts.train)
    if not len(table.boxes):
        return
    resized = np.array([preprocessing.resized_hw(image.height, image.width)[::-1] for image in table.images])
    scale = (resized[table.rows] / table.sizes).min(axis=1)  # (N,)
    sides = (table.boxes[:, 2:] - table.boxes[:, :2]).min(axis=1)
    tiny = (sides > 0) & (sides * scale < LEAST_SIDE_PX)
    if tiny.any():
        share = tiny.sum() / len(tiny)
        what = (
            f"{counted(int(tiny.sum()), 'box', 'boxes')} ({share:.0%}) of less than {LEAST_SIDE_PX} px at the "
            f"{preprocessing.shortest_edge} px the detector works at"
        )
        yield warning("tiny_boxes", what, _larger(table, tiny, sides), table.names(tiny))


def _splits(subject: Subject, parts: Parts) -> Iterator[Problem]:
    if parts.refusal is not None:
        what, _, advice = parts.refusal.partition(". ")
        yield error("nothing_to_learn", what, advice or "Label some images.")
        return
    if parts.note is not None:
        what, _, advice = parts.note.partition(": ")
        yield warning(
            "no_validation", what.removesuffix("."), advice or "Import some labelled images with the split val."
        )
    useful = {image.id for image in parts.train if len(image.boxes_xyxy)} | {image.id for image in parts.train_texts}
    if len(useful) < LEAST_IMAGES:
        what = f"Only {counted(len(useful), 'image')} with {'texts' if parts.train_texts else 'boxes'} to learn from"
        yield warning("few_images", what, f"Label {LEAST_IMAGES} or more before you judge the result.")
    if subject.bare:
        what = f"{counted(subject.bare, 'image')} without any label that take no part"
        yield warning("unlabelled_images", what, "Label them, or mark as done those that show nothing.")


def _categories(subject: Subject, parts: Parts, novel: Sequence[str]) -> Iterator[Problem]:
    names = [category.name for category in subject.categories]
    learnt, measured = _counts(parts.train, len(names)), _counts(parts.validation, len(names))
    if (strangers := [name for name in novel if name not in names]) and novel:
        what = f"{counted(len(strangers), 'name')} in the setting novel that are no category"
        yield error("unknown_novel", what, "Write the names as the dataset has them.", strangers)
    if not learnt.any():
        return  # that there is nothing to learn from has been said
    unseen = [name for name, here, there in zip(names, learnt, measured, strict=True) if not here and there]
    if unseen:
        what = f"{counted(len(unseen), 'category', 'categories')} with boxes to measure on but none to learn from"
        yield warning("only_in_val", what, "Label some in images of the train split.", unseen)
    empty = [name for name, here, there in zip(names, learnt, measured, strict=True) if not here and not there]
    if empty:
        what = f"{counted(len(empty), 'category', 'categories')} without a box to learn from"
        yield warning("category_without_boxes", what, "Label some, or delete what is not needed.", empty)
    rare = [f"{name} ({count})" for name, count in zip(names, learnt.tolist(), strict=True) if 0 < count < _LEAST_BOXES]
    if rare:
        what = f"{counted(len(rare), 'category', 'categories')} with fewer than {_LEAST_BOXES} boxes to learn from"
        yield warning("rare_category", what, "Label more of them before you judge the result.", rare)


def _boxes(table: _Table) -> Iterator[Problem]:
    width, height = (table.boxes[:, 2:] - table.boxes[:, :2]).T
    empty = (width <= 0) | (height <= 0)
    inside = _inside(table)
    kept = (inside[:, 2:] - inside[:, :2]).clip(0).prod(axis=1)
    outside = ~empty & (kept <= 0)
    beyond = ~empty & ~outside & (np.abs(inside - table.boxes).max(axis=1, initial=0) > _SAME_PX)
    for kind, chosen, what, advice in (
        ("box_without_area", empty, "without any area", "They are left out: delete or redraw them."),
        ("box_outside", outside, "entirely outside the image", "They are left out: delete or redraw them."),
        ("box_beyond_edge", beyond, "that reach beyond the image", "They are cut at its edge; check where it is much."),
    ):
        if chosen.any():
            count = counted(int(chosen.sum()), "box", "boxes")
            yield warning(kind, f"{count} {what}", advice, table.names(chosen))
    same, renamed = _repeated(table)
    if same.any():
        what = f"{counted(int(same.sum()), 'box', 'boxes')} drawn twice, with the same category at the same place"
        yield warning(
            "same_box_twice", what, "Delete the copies: the detector would learn to find one twice.", table.names(same)
        )
    if renamed.any():
        what = f"{counted(int(renamed.sum()), 'box', 'boxes')} at the same place as one of another category"
        yield warning("two_names_for_a_box", what, "Keep the right one of the two.", table.names(renamed))


def _unfinished(subject: Subject, parts: Parts) -> Iterator[Problem]:
    names = [image.file_name for image in parts.train if image.id in subject.unfinished]
    if names:
        what = f"{counted(len(names), 'image')} to learn from not marked as done"
        advice = (
            "What has no box there may still be there, so they teach no absence: where everything is labelled, mark "
            "them as done (D in Label)."
        )
        yield warning("not_done", what, advice, names)


def _never_absent(subject: Subject, parts: Parts) -> Iterator[Problem]:
    """Categories with boxes that no image is known to lack; where no image is done at all, `not_done` is enough."""
    if not any(image.done for image in parts.train):
        return
    every = range(len(subject.categories))
    lacked = frozenset[int]().union(*(image.absent_of(every) for image in parts.train))
    learnt = _counts(parts.train, len(subject.categories))
    names = [subject.categories[index].name for index in every if learnt[index] and index not in lacked]
    if names:
        what = f"{counted(len(names), 'category', 'categories')} that no image to learn from is known to lack"
        advice = (
            "Nothing teaches what looks like it and is not, so it may be found everywhere: add some images without it, "
            "and mark them as done (D in Label)."
        )
        yield warning("never_absent", what, advice, names)


def _repeated(table: _Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which boxes repeat one before them: of the same category, of another."""
    edges = (table.boxes / _SAME_PX).round()
    places = np.column_stack([table.rows, edges]).astype(np.int64)
    with_class = np.column_stack([places, table.classes])
    same = ~_is_first(with_class)
    return same, ~_is_first(places) & ~same


def _is_first(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    first = np.zeros(len(rows), np.bool_)
    if len(rows):
        first[np.unique(rows, axis=0, return_index=True)[1]] = True
    return first


def _larger(table: _Table, tiny: NDArray[np.bool_], sides: NDArray[np.float32]) -> str:
    """The short side that would bring nine of ten of the tiny boxes to the least size, if one can."""
    shorts = table.sizes.min(axis=1)[tiny]
    needed = float(np.quantile(LEAST_SIDE_PX / sides[tiny] * shorts, 0.9))
    short_side_px = int(np.ceil(needed / _STEP_PX)) * _STEP_PX
    if short_side_px > _LARGEST_SIDE_PX:
        return "No size helps: cut the images into tiles, or delete what can't be seen."
    return f"--set short_side_px={short_side_px} brings nine of ten of them there (slower, more memory)."


def _inside(table: _Table) -> Boxes:
    limits = np.concatenate([table.sizes, table.sizes], axis=1)
    result: Boxes = np.clip(table.boxes, 0, limits).astype(np.float32)
    return result


def _others(parts: Parts) -> list[LabelledImage]:
    """The images to measure on that are not learnt from as well."""
    known = {image.id for image in parts.train}
    return [image for image in parts.validation if image.id not in known]


def _counts(images: Sequence[LabelledImage], categories: int) -> NDArray[np.int64]:
    classes = [image.category_ids for image in images]
    return np.bincount(np.concatenate(classes) if classes else np.zeros(0, np.int64), minlength=categories)


def _table(images: Sequence[LabelledImage]) -> _Table:
    counts = [len(image.boxes_xyxy) for image in images]
    rows = np.repeat(np.arange(len(images)), counts)
    sizes = np.array([(image.width, image.height) for image in images], np.float32).reshape(-1, 2)
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(image.boxes_xyxy for image in images)])
    classes = np.concatenate([np.zeros(0, np.int64), *(image.category_ids for image in images)])
    return _Table(images, boxes, classes, rows, sizes[rows])
