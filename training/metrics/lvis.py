"""LVIS's average precision: each image says of a part of the categories whether they are there.

Rules of the federated labels: Gupta et al., arXiv:1908.03195, section 3. The fixed metric, which limits detections per
category over the whole dataset instead of per image: Dave et al., arXiv:2102.01066.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes
from training.metrics.coco import Evaluation, Labels, Predictions, accumulate, coco_dataset, coco_results, mean_measured

BEST_PER_CATEGORY = 10_000
"""Detections of a category that count, over the whole dataset."""

_SPARE = 0.25  # more than the best are held before they are chosen anew
_PARTS = 256

Frequency = Literal["r", "c", "f"]  # in 1 to 10, 11 to 100, more than 100 images of the training set
_OVER_IOUS = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
_OVER_AREAS = {"APs": 1, "APm": 2, "APl": 3}


@dataclass(frozen=True)
class FederatedLabels:
    """What people say is on one image, and of what they say nothing.

    A category with a box on the image, or among `absent`, was looked for. Detections of any other are ignored.

    Attributes:
        labels: the boxes.
        absent: categories that are known not to be on the image ("neg_category_ids").
        not_exhaustive: categories of which only some objects are labelled; unmatched detections of these are ignored.
    """

    labels: Labels
    absent: frozenset[int] = frozenset()
    not_exhaustive: frozenset[int] = frozenset()


@dataclass(frozen=True)
class FederatedCategory:
    """A category with how often the training set has it: rare, common or frequent."""

    name: str
    frequency: Frequency


@dataclass(frozen=True)
class _Found:
    """Detections of one category: (N,) places of the images, (N, 4) pixels, (N,) scores; in the order they came."""

    images: NDArray[np.int64]
    boxes_xyxy: Boxes
    scores: NDArray[np.float32]

    def best(self, most: int) -> "_Found":
        """The `most` best, of equals the earlier ones."""
        kept = np.sort(np.argsort(-self.scores, kind="stable")[:most])
        return _Found(self.images[kept], self.boxes_xyxy[kept], self.scores[kept])


def lvis_fixed_ap(
    labels: Sequence[FederatedLabels],
    predictions: Iterable[Predictions],
    categories: Sequence[FederatedCategory],
    *,
    best_per_category: int = BEST_PER_CATEGORY,
) -> Evaluation:
    """Fixed AP: the best detections of each category over the whole dataset count, however many an image has.

    The best are taken before detections of categories that an image says nothing about are ignored, as published
    numbers do it. A category that is labelled but never predicted counts as 0.

    Args:
        labels: one per image.
        predictions: one per image, in the same order; taken one by one, so that a generator needs little memory.
        categories: in the order that classes index.
        best_per_category: how many.

    Returns:
        Metrics "AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf" (rare, common, frequent categories);
        per category "AP", "AP50", "annotations".

    Raises:
        ValueError: there are not as many predictions as labels.
    """
    found = _best_of_all(predictions, len(labels), len(categories), best_per_category)
    looked_for = _images_of(labels, len(categories))
    rows: list[dict[str, float | int | None]] = [
        _row(index, [labels[place] for place in looked_for[index]], looked_for[index], found[index])
        for index in range(len(categories))
    ]
    metrics = {name: _mean(row[name] for row in rows) for name in (*_OVER_IOUS, *_OVER_AREAS)}
    for frequency in ("r", "c", "f"):
        metrics[f"AP{frequency}"] = _mean(
            row["AP"] for row, category in zip(rows, categories, strict=True) if category.frequency == frequency
        )
    per_category: Mapping[str, Mapping[str, float | int | None]] = {
        category.name: {key: row[key] for key in ("AP", "AP50", "annotations")}
        for category, row in zip(categories, rows, strict=True)
    }
    return Evaluation(metrics, per_category, len(labels))


class _Best:
    """The best detections of one category on the way: never many more than `most` are held."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[_Found] = []
        self._count = 0
        self._least = np.float32(-np.inf)  # the score of the last one held once there are `most`

    def add(self, found: _Found) -> None:
        """Those of one more image; what can't be among the best any more is dropped at once."""
        better = found.scores > self._least  # of equals the earlier ones count, which are held
        if not better.any():
            return
        self._parts.append(_Found(found.images[better], found.boxes_xyxy[better], found.scores[better]))
        self._count += int(better.sum())
        if self._count > self._most * (1 + _SPARE):
            self._parts = [self.best()]
            self._count = self._most
            self._least = self._parts[0].scores.min()
        elif len(self._parts) >= _PARTS:
            self._parts = [_joined(self._parts)]  # many small arrays take far more room than what is in them

    def best(self) -> _Found:
        """The best of all so far."""
        return _joined(self._parts).best(self._most)


def _best_of_all(predictions: Iterable[Predictions], images: int, categories: int, most: int) -> list[_Found]:
    """The best detections of each category."""
    held = [_Best(most) for _ in range(categories)]
    seen = 0
    for image, part in enumerate(predictions):
        seen += 1
        for category, found in _by_category(image, part, categories):
            held[category].add(found)
    if seen != images:
        raise ValueError(f"{images} images have labels but {seen} have predictions.")
    return [each.best() for each in held]


def _by_category(image: int, part: Predictions, categories: int) -> Iterator[tuple[int, _Found]]:
    """The detections of an image, category by category, in the order they are in."""
    if not len(part.classes):
        return
    order = np.argsort(part.classes, kind="stable")
    present, starts = np.unique(part.classes[order], return_index=True)
    for category, rows in zip(present, np.split(order, starts[1:]), strict=True):
        if 0 <= category < categories:
            places = np.full(len(rows), image, np.int64)
            yield int(category), _Found(places, part.boxes_xyxy[rows], part.scores[rows])


def _joined(parts: Sequence[_Found]) -> _Found:
    if not parts:
        return _Found(np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    return _Found(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.boxes_xyxy for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _images_of(labels: Sequence[FederatedLabels], categories: int) -> list[list[int]]:
    """The places of the images that speak of each category: the others can't change its AP."""
    places: list[list[int]] = [[] for _ in range(categories)]
    for place, image in enumerate(labels):
        for category in {int(index) for index in image.labels.classes} | image.absent:
            if 0 <= category < categories:
                places[category].append(place)
    return places


def _row(
    category: int, images: Sequence[FederatedLabels], places: Sequence[int], found: _Found
) -> dict[str, float | int | None]:
    """The numbers of one category."""
    labels = [_only(image.labels, category) for image in images]
    count = sum(len(image.classes) - int(_crowd(image).sum()) for image in labels)
    row: dict[str, float | int | None] = dict.fromkeys((*_OVER_IOUS, *_OVER_AREAS))
    row["annotations"] = count
    if not count:
        return row
    dataset = coco_dataset(labels, ["it"])
    dataset["categories"][0]["frequency"] = "r"  # the library asks for one; the means over them are taken above
    for image, record in zip(images, dataset["images"], strict=True):
        record["neg_category_ids"] = [0] if category in image.absent else []
        record["not_exhaustive_category_ids"] = [0] if category in image.not_exhaustive else []
    limit = [max(len(found.scores), 1)]  # none: the best were chosen before
    precision, _ = accumulate(dataset, coco_results(_by_image(found, places)), limit, federated=True)
    row |= {name: mean_measured(precision[ious, ..., 0]) for name, ious in _OVER_IOUS.items()}
    row |= {name: mean_measured(precision[..., area]) for name, area in _OVER_AREAS.items()}
    return row


def _by_image(found: _Found, places: Sequence[int]) -> list[Predictions]:
    """The detections on the images at `places`, an image an entry."""
    order = np.argsort(found.images, kind="stable")
    starts = np.searchsorted(found.images[order], places, "left")
    ends = np.searchsorted(found.images[order], places, "right")
    rows = [order[start:end] for start, end in zip(starts, ends, strict=True)]
    return [Predictions(found.boxes_xyxy[row], np.zeros(len(row), np.int64), found.scores[row]) for row in rows]


def _only(labels: Labels, category: int) -> Labels:
    """The boxes of one category, which becomes the first."""
    rows = labels.classes == category
    areas = labels.areas_px[rows] if labels.areas_px is not None else None
    return Labels(labels.boxes_xyxy[rows], np.zeros(int(rows.sum()), np.int64), _crowd(labels)[rows], areas)


def _crowd(labels: Labels) -> NDArray[np.bool_]:
    return labels.crowd if labels.crowd is not None else np.zeros(len(labels.classes), bool)


def _mean(values: Iterable[Any]) -> float | None:
    """The mean of what could be measured; each category counts once, however many boxes it has."""
    measured = [value for value in values if value is not None]
    return float(np.mean(measured)) if measured else None
