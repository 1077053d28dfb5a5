"""Precision of referring expressions: RefCOCO's family, and gRefCOCO where one may mean several objects or none."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes, iou
from training.metrics.coco import Evaluation, Predictions
from training.metrics.phrases import RANKS, best_first

THRESHOLD = 0.7
"""The score from which on a box is an answer in gRefCOCO's published numbers."""

SWEEP = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


def referring_precision(
    targets_xyxy: Sequence[Boxes],
    predictions: Sequence[Predictions],
    splits: Sequence[str] | None = None,
    *,
    iou_threshold: float = 0.5,
) -> Evaluation:
    """The share of expressions one of whose 1, 5 or 10 best boxes is right (Kazemzadeh et al. 2014; Mao et al. 2016).

    An expression without predictions is missed. Of boxes with one score the earlier is the better.

    Args:
        targets_xyxy: (1, 4) pixels for each expression, the object it means.
        predictions: one per expression, in the same order; `classes` are not looked at.
        splits: of each expression, for example "refcoco testA"; None: all are of one.
        iou_threshold: from which overlap on a box is right.

    Returns:
        Metrics "P@1", "P@5", "P@10"; per split the same and "expressions". `images` counts expressions.

    Raises:
        ValueError: lists of unlike lengths, or an expression that does not mean exactly one object.
    """
    _check_lengths(len(targets_xyxy), len(predictions))
    _check_lengths(len(targets_xyxy), len(splits) if splits is not None else len(targets_xyxy))
    ranks: list[float] = []  # of the first right box of each expression
    for place, (target, found) in enumerate(zip(targets_xyxy, predictions, strict=True)):
        if len(target) != 1:
            raise ValueError(
                f"Expression {place} means {len(target)} objects, not one: score it with generalized_referring."
            )
        right = np.flatnonzero(iou(best_first(found), target)[:, 0] >= iou_threshold)
        ranks.append(float(right[0]) + 1 if len(right) else float("inf"))
    per_split: dict[str, Mapping[str, float | int | None]] = {}
    for split in dict.fromkeys(splits or ()):
        own = [rank for rank, name in zip(ranks, splits or (), strict=True) if name == split]
        per_split[split] = {**_precision(own), "expressions": len(own)}
    return Evaluation(_precision(ranks), per_split, len(ranks))


def generalized_referring(
    targets_xyxy: Sequence[Boxes],
    predictions: Sequence[Predictions],
    *,
    threshold: float = THRESHOLD,
    sweep: Sequence[float] = SWEEP,
    iou_threshold: float = 0.5,
) -> Evaluation:
    """gRefCOCO's numbers (He et al., arXiv:2308.16182), at one threshold and over several: they move a lot with it.

    The boxes with a score of at least the threshold are the answer. Answers are matched one to one, the pair that
    overlaps most first. An expression is right when its F1 is 1: every box is matched and none is over; one that means
    nothing is right when its answer is empty.

    Args:
        targets_xyxy: (N, 4) pixels for each expression, the objects it means; N is 0 where it means none.
        predictions: one per expression, in the same order; `classes` are not looked at.
        threshold: of the metrics.
        sweep: further thresholds, for the rows.
        iou_threshold: from which overlap on a pair matches.

    Returns:
        Metrics "P@F1" (share of right expressions), "N-acc" (of those without target, with an empty answer), "T-acc"
        (of those with one, with an answer), "threshold"; per threshold of the sweep the same. `images` counts
        expressions.

    Raises:
        ValueError: lists of unlike lengths.
    """
    _check_lengths(len(targets_xyxy), len(predictions))
    rows: dict[str, Mapping[str, float | int | None]] = {
        f"{value:g}": _at(targets_xyxy, predictions, value, iou_threshold) for value in sweep
    }
    return Evaluation(_at(targets_xyxy, predictions, threshold, iou_threshold), rows, len(targets_xyxy))


def matched_pairs(overlaps: Boxes, iou_threshold: float) -> int:
    """How many pairs there are one to one, the largest overlap first; (N, M) -> at most min(N, M)."""
    left = overlaps.copy()
    most = min(len(left), len(left.T))
    for count in range(most):
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        if left[row, column] < iou_threshold:
            return count
        left[row, :] = left[:, column] = -1
    return most


def _at(
    targets_xyxy: Sequence[Boxes], predictions: Sequence[Predictions], threshold: float, iou_threshold: float
) -> dict[str, float | None]:
    """The numbers at one threshold."""
    # float32 scores against the threshold as float32: a score of 0.7 is not below 0.7
    answers = [found.boxes_xyxy[found.scores >= np.float32(threshold)] for found in predictions]
    right, answered, meant = [], [], []
    for targets, boxes in zip(targets_xyxy, answers, strict=True):
        complete = len(boxes) == len(targets)  # F1 is 1 only then
        right.append(complete and matched_pairs(iou(boxes, targets), iou_threshold) == len(targets))
        answered.append(len(boxes) > 0)
        meant.append(len(targets) > 0)
    has_answer, has_target = np.array(answered, bool), np.array(meant, bool)
    return {
        "P@F1": _share(np.array(right, bool)),
        "N-acc": _share(~has_answer[~has_target]),
        "T-acc": _share(has_answer[has_target]),
        "threshold": threshold,
    }


def _share(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _precision(ranks: Sequence[float]) -> dict[str, float | None]:
    return {f"P@{most}": _share(np.array(ranks) <= most) for most in RANKS}


def _check_lengths(targets: int, others: int) -> None:
    if targets != others:
        raise ValueError(f"{targets} expressions have targets but {others} have predictions or splits.")
