"""Precision and recall at every score: which predictions find which labels, and what a threshold would keep.

One pass matches predictions with labels as COCO does at IoU 0.5: image by image and category by category, the
best score first, each to the free label it overlaps most. A lower threshold only adds predictions at the end of that
order, so the matches of every threshold are a prefix of these.

faster-coco-eval has such curves in its `extra` part, which asks for plotly, knows precision only at 101 fixed recalls
and gives no counts; supervision's has one threshold and no crowds. A test holds these numbers against both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes, area, iou
from training.metrics.coco import MAX_DETECTIONS, Labels, Predictions

IOU = 0.5
"""An overlap from which a box counts as found."""


@dataclass(frozen=True)
class Matches:
    """What became of each prediction on one image.

    Attributes:
        found: (P,) int, the index of the label of its own category that a prediction found; -1: none.
        ignored: (P,) bool, predictions that count neither as right nor as wrong: inside a crowd of their category, or
            beyond the 100 best of it (COCO's limit).
    """

    found: NDArray[np.int64]
    ignored: NDArray[np.bool_]


@dataclass(frozen=True)
class Curve:
    """What each threshold would keep; T thresholds, the highest first.

    Attributes:
        thresholds: (T,) each the score of a prediction: what scores as high or higher is kept.
        right: (T,) predictions kept that found a label.
        wrong: (T,) predictions kept that found none.
        labels: how many there are to be found.
    """

    thresholds: NDArray[np.float64]
    right: NDArray[np.int64]
    wrong: NDArray[np.int64]
    labels: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """(T,) the share of what is kept that is right."""
        kept: NDArray[np.float64] = self.right / (self.right + self.wrong)
        return kept

    @property
    def recall(self) -> NDArray[np.float64]:
        """(T,) the share of the labels that is found; 0 where there is none."""
        found: NDArray[np.float64] = self.right / max(self.labels, 1)
        return found

    @property
    def f1(self) -> NDArray[np.float64]:
        """(T,) the harmonic mean of precision and recall."""
        mean: NDArray[np.float64] = 2 * self.right / (self.right + self.wrong + self.labels)
        return mean

    def at(self, threshold: float) -> tuple[int, int]:
        """(right, wrong) of the predictions that score `threshold` or more."""
        kept = int(np.searchsorted(-self.thresholds, -threshold, side="right"))
        return (int(self.right[kept - 1]), int(self.wrong[kept - 1])) if kept else (0, 0)

    def thinned(self, most: int) -> "Curve":
        """At most `most` of the thresholds: the first, the last, the one of the best F1, and others evenly between."""
        count = len(self.thresholds)
        if count <= most:
            return self
        even = np.linspace(0, count - 1, most - 1).round().astype(np.int64)
        chosen = np.unique(np.append(even, int(self.f1.argmax())))
        return Curve(self.thresholds[chosen], self.right[chosen], self.wrong[chosen], self.labels)


@dataclass(frozen=True)
class Analysis:
    """The curves of all categories, and the matches they were made of.

    Attributes:
        names: of the categories, in the order that classes index.
        curves: one a category.
        pooled: all categories together, each prediction and label counted once.
        matches: one an image.
    """

    names: tuple[str, ...]
    curves: tuple[Curve, ...]
    pooled: Curve
    matches: tuple[Matches, ...]


def analyse(labels: Sequence[Labels], predictions: Sequence[Predictions], names: Sequence[str]) -> Analysis:
    """Match all images and draw the curves.

    Args:
        labels: one per image.
        predictions: one per image, in the same order.
        names: of the categories, in the order that `classes` index.

    Raises:
        ValueError: not as many predictions as labels.
    """
    if len(labels) != len(predictions):
        raise ValueError(f"{len(labels)} images have labels but {len(predictions)} have predictions.")
    matches = tuple(match(of_image, found) for of_image, found in zip(labels, predictions, strict=True))
    counted = [~of_image.ignored for of_image in matches]
    scores = np.concatenate([np.zeros(0), *(p.scores[c] for p, c in zip(predictions, counted, strict=True))])
    classes = _classes([p.classes[c] for p, c in zip(predictions, counted, strict=True)])
    right = np.concatenate([np.zeros(0, bool), *(m.found[c] >= 0 for m, c in zip(matches, counted, strict=True))])
    wanted = _classes([of_image.classes[~crowd_of(of_image)] for of_image in labels])
    totals = np.bincount(wanted, minlength=len(names))
    by_class = np.argsort(classes, kind="stable")
    ends = np.searchsorted(classes[by_class], np.arange(len(names)), side="right")
    rows = np.split(by_class, ends)[: len(names)]
    curves = tuple(_curve(scores[own], right[own], int(totals[index])) for index, own in enumerate(rows))
    return Analysis(tuple(names), curves, _curve(scores, right, len(wanted)), matches)


def match(labels: Labels, predictions: Predictions, least_iou: float = IOU) -> Matches:
    """The label that each prediction of one image finds, by COCO's rules (`COCOeval.evaluateImg`)."""
    found = np.full(len(predictions.scores), -1, np.int64)
    ignored = _beyond_the_limit(predictions)
    crowd = crowd_of(labels)
    overlaps = overlap(predictions.boxes_xyxy, labels.boxes_xyxy, crowd)  # (P, L)
    near = (overlaps >= least_iou) & (predictions.classes[:, None] == labels.classes[None, :])
    free = ~crowd
    order = np.argsort(-predictions.scores, kind="stable")
    for index in order[near.any(axis=1)[order] & ~ignored[order]]:  # most predictions are near no label
        candidates = np.flatnonzero(near[index] & free)
        if candidates.size:
            best = candidates[::-1][overlaps[index, candidates[::-1]].argmax()]  # of equals the last, as COCO does
            found[index] = best
            free[best] = False
        elif (near[index] & crowd).any():
            ignored[index] = True
    return Matches(found, ignored)


def overlap(boxes_xyxy: Boxes, labels_xyxy: Boxes, crowd: NDArray[np.bool_]) -> Boxes:
    """IoU of predictions and labels; with a crowd, the share of the prediction that lies in it. (P, L) in [0, 1]."""
    overlaps = iou(boxes_xyxy, labels_xyxy)
    if crowd.any():
        union = area(boxes_xyxy)[:, None] + area(labels_xyxy)[None, :]
        intersection = overlaps * union / (1 + overlaps)
        own = np.maximum(area(boxes_xyxy), np.finfo(np.float32).tiny)[:, None]
        overlaps[:, crowd] = (intersection / own)[:, crowd]
    return overlaps


def crowd_of(labels: Labels) -> NDArray[np.bool_]:
    """(N,) whether each label is a crowd."""
    return np.zeros(len(labels.classes), np.bool_) if labels.crowd is None else labels.crowd


def _beyond_the_limit(predictions: Predictions) -> NDArray[np.bool_]:
    """(P,) those that are not among the best 100 of their category."""
    beyond = np.zeros(len(predictions.scores), np.bool_)
    if len(beyond) > MAX_DETECTIONS:
        order = np.argsort(-predictions.scores, kind="stable")
        for class_id in np.flatnonzero(np.bincount(predictions.classes) > MAX_DETECTIONS):
            beyond[order[predictions.classes[order] == class_id][MAX_DETECTIONS:]] = True
    return beyond


def _curve(scores: NDArray[np.float64], right: NDArray[np.bool_], labels: int) -> Curve:
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else np.zeros(0, np.int64)
    hits = np.cumsum(right, dtype=np.int64)[last]
    return Curve(scores[last], hits, last + 1 - hits, labels)


def _classes(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts])
