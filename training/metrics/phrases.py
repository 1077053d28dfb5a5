"""Recall of the phrases of captions, as on Flickr30k Entities (Plummer et al., arXiv:1505.04870)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes, iou
from training.metrics.coco import Evaluation, Predictions

RANKS = (1, 5, 10)


@dataclass(frozen=True)
class PhraseLabels:
    """What the phrases of one caption mean.

    Attributes:
        boxes_xyxy: (N, 4) pixels for each phrase; a phrase without a box is not scored.
        types: the kinds of thing each phrase names ("people", "clothing"), in the same order; None: not given.
    """

    boxes_xyxy: tuple[Boxes, ...]
    types: tuple[tuple[str, ...], ...] | None = None


def phrase_recall(
    labels: Sequence[PhraseLabels],
    predictions: Sequence[Predictions],
    *,
    merged: bool = False,
    iou_threshold: float = 0.5,
) -> Evaluation:
    """The share of phrases one of whose 1, 5 or 10 best boxes is right. A phrase without predictions is missed.

    Args:
        labels: one per caption.
        predictions: one per caption, in the same order; `classes` index the caption's phrases. Of boxes with one
            score the earlier is the better.
        merged: a box is right when it overlaps the one box around all boxes of the phrase (the merged-box protocol of
            the dataset's authors); else when it overlaps any of them (any-box: GLIP's and Grounding DINO's).
        iou_threshold: from which overlap on.

    Returns:
        Metrics "R@1", "R@5", "R@10"; per phrase type the same and "phrases". `images` counts captions.

    Raises:
        ValueError: there are not as many predictions as labels, or not as many types as phrases.
    """
    if len(labels) != len(predictions):
        raise ValueError(f"{len(labels)} captions have labels but {len(predictions)} have predictions.")
    ranks: list[float] = []  # of the first right box of each phrase
    ranks_of: dict[str, list[float]] = {}
    for caption, found in zip(labels, predictions, strict=True):
        types = caption.types or ((),) * len(caption.boxes_xyxy)
        for phrase, (boxes, kinds) in enumerate(zip(caption.boxes_xyxy, types, strict=True)):
            if not len(boxes):
                continue
            rank = _first_right(found, phrase, enclosing(boxes) if merged else boxes, iou_threshold)
            ranks.append(rank)
            for kind in kinds:
                ranks_of.setdefault(kind, []).append(rank)
    per_type: dict[str, Mapping[str, float | int | None]] = {
        kind: {**_recall(ranks_of[kind]), "phrases": len(ranks_of[kind])} for kind in sorted(ranks_of)
    }
    return Evaluation(_recall(ranks), per_type, len(labels))


def enclosing(boxes_xyxy: Boxes) -> Boxes:
    """The smallest box around all; (N, 4) -> (1, 4), N at least 1."""
    return np.concatenate([boxes_xyxy[:, :2].min(0), boxes_xyxy[:, 2:].max(0)])[None]


def best_first(predictions: Predictions, rows: NDArray[np.bool_] | None = None) -> Boxes:
    """The boxes (of the chosen rows) by falling score, equals in their own order; (N, 4)."""
    chosen = np.flatnonzero(rows) if rows is not None else np.arange(len(predictions.scores))
    return predictions.boxes_xyxy[chosen[np.argsort(-predictions.scores[chosen], kind="stable")]]


def _first_right(found: Predictions, phrase: int, targets: Boxes, iou_threshold: float) -> float:
    """The place of the first right box, from 1; infinite when there is none."""
    boxes = best_first(found, found.classes == phrase)
    right = np.flatnonzero((iou(boxes, targets) >= iou_threshold).any(axis=1))
    return float(right[0]) + 1 if len(right) else float("inf")


def _recall(ranks: Sequence[float]) -> dict[str, float | None]:
    return {f"R@{most}": float((np.array(ranks) <= most).mean()) if ranks else None for most in RANKS}
