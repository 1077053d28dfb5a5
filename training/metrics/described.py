"""Described object detection: COCO's AP where each category is a sentence (Xie et al., arXiv:2307.12813)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.metrics.coco import Evaluation, Labels, Predictions, coco_metrics

_LENGTHS = {"short": (1, 3), "mid": (4, 6), "long": (7, 9), "very long": (10, 10**9)}  # words, both ends included


@dataclass(frozen=True)
class Sentence:
    """A description of objects.

    Attributes:
        text: as it is asked for.
        absence: whether it speaks of something missing ("a dog without a leash"); None: not known.
    """

    text: str
    absence: bool | None = None

    @property
    def length(self) -> str:
        """Its length by D3's classes: short (to 3 words), mid (to 6), long (to 9) or very long."""
        words = max(len(self.text.split()), 1)
        return next(name for name, (least, most) in _LENGTHS.items() if least <= words <= most)


def described_ap(
    labels: Sequence[Labels],
    predictions: Sequence[Predictions],
    sentences: Sequence[Sentence],
    groups: Sequence[Collection[int]] | None = None,
) -> Evaluation:
    """D3's numbers; each is the mean of COCO's AP over sentences that are labelled somewhere.

    Args:
        labels: one per image; `classes` index `sentences`.
        predictions: one per image, in the same order.
        sentences: all of the dataset.
        groups: the sentences that count on each image: those of its own group (the intra-scenario setting of published
            numbers). Labels and predictions of others are left out. None: all count everywhere (inter-scenario).

    Returns:
        Metrics "FULL", "PRES" (sentences about what is there), "ABS" (about what is missing), "short", "mid", "long",
        "very long"; per sentence "AP", "AP50", "annotations"; a text that stands twice has its place after it.

    Raises:
        ValueError: lists of unlike lengths.
    """
    if groups is not None:
        if not len(groups) == len(labels) == len(predictions):
            raise ValueError(
                f"{len(labels)} images have labels, {len(predictions)} predictions and {len(groups)} a group: "
                "give one of each for every image."
            )
        labels = [labels_within(image, group) for image, group in zip(labels, groups, strict=True)]
        predictions = [_predictions_within(found, group) for found, group in zip(predictions, groups, strict=True)]
    found = coco_metrics(labels, predictions, _unlike([sentence.text for sentence in sentences]))
    values = [row["AP"] for row in found.per_category.values()]
    metrics = {
        "FULL": _mean(values, [True] * len(sentences)),
        "PRES": _mean(values, [sentence.absence is False for sentence in sentences]),
        "ABS": _mean(values, [sentence.absence is True for sentence in sentences]),
        **{name: _mean(values, [sentence.length == name for sentence in sentences]) for name in _LENGTHS},
    }
    return Evaluation(metrics, found.per_category, found.images)


def labels_within(labels: Labels, group: Collection[int]) -> Labels:
    """The labels of the categories of a group."""
    rows = _rows(labels.classes, group)
    return Labels(
        labels.boxes_xyxy[rows],
        labels.classes[rows],
        None if labels.crowd is None else labels.crowd[rows],
        None if labels.areas_px is None else labels.areas_px[rows],
    )


def _predictions_within(found: Predictions, group: Collection[int]) -> Predictions:
    rows = _rows(found.classes, group)
    return replace(found, boxes_xyxy=found.boxes_xyxy[rows], classes=found.classes[rows], scores=found.scores[rows])


def _rows(classes: NDArray[np.int64], group: Collection[int]) -> NDArray[np.bool_]:
    return np.isin(classes, np.array(sorted(group), np.int64))


def _unlike(texts: Sequence[str]) -> list[str]:
    """The texts, each with its place where it stood before."""
    seen: Mapping[str, int] = {text: place for place, text in reversed(list(enumerate(texts)))}
    return [text if seen[text] == place else f"{text} ({place})" for place, text in enumerate(texts)]


def _mean(values: Sequence[float | int | None], chosen: Sequence[bool]) -> float | None:
    measured = [value for value, taken in zip(values, chosen, strict=True) if taken and value is not None]
    return float(np.mean(measured)) if measured else None
