"""What a detector takes for what: right, mislabelled, missed and false boxes at given thresholds.

The pairs of one category are those of `training.metrics.analysis`, so the diagonal says the same as the curves. What
is left over (shown predictions and labels nobody found) is paired across categories, the best score first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics.analysis import IOU, Matches, crowd_of, overlap
from training.metrics.coco import Labels, Predictions

Pairs = NDArray[np.int64]
"""(N, 2): the index of a prediction, the index of a label."""


@dataclass(frozen=True)
class Outcome:
    """What thresholds make of one image; each label but a crowd stands in one of right, mislabelled, missed.

    Attributes:
        right: (R, 2) predictions with the labels they found.
        mislabelled: (M, 2) predictions with labels of another category at the same place.
        missed: (L,) labels without any prediction.
        false: (F,) predictions without any label.
    """

    right: Pairs
    mislabelled: Pairs
    missed: NDArray[np.int64]
    false: NDArray[np.int64]

    @property
    def faults(self) -> int:
        """How much a person would have to correct."""
        return len(self.mislabelled) + len(self.missed) + len(self.false)


def outcome(labels: Labels, predictions: Predictions, matches: Matches, thresholds: NDArray[np.float64]) -> Outcome:
    """What is right and wrong on one image.

    Args:
        labels: of the image.
        predictions: of the image.
        matches: of the two, as `training.metrics.analysis.match` gives them.
        thresholds: (K,) the lowest score shown of each category.
    """
    shown = (predictions.scores >= thresholds[predictions.classes]) & ~matches.ignored
    hits = np.flatnonzero(shown & (matches.found >= 0))
    free = ~crowd_of(labels)
    free[matches.found[hits]] = False
    rest = np.flatnonzero(shown & (matches.found < 0))
    rest = rest[np.argsort(-predictions.scores[rest], kind="stable")]
    crossed, false = _across(labels, predictions, rest, free)
    return Outcome(
        right=np.stack([hits, matches.found[hits]], axis=1),
        mislabelled=np.array(crossed, np.int64).reshape(-1, 2),
        missed=np.flatnonzero(free),
        false=np.array(false, np.int64),
    )


def confusion_matrix(
    labels: Sequence[Labels], predictions: Sequence[Predictions], outcomes: Sequence[Outcome], categories: int
) -> NDArray[np.int64]:
    """(K + 1, K + 1) counts: a row for each true category, a column for each predicted one.

    The last column holds the labels that were missed, the last row the predictions where nothing is; a row but the
    last sums to the category's labels. Crowds are left out.
    """
    matrix = np.zeros((categories + 1, categories + 1), np.int64)
    for of_image, found, result in zip(labels, predictions, outcomes, strict=True):
        for pairs in (result.right, result.mislabelled):
            np.add.at(matrix, (of_image.classes[pairs[:, 1]], found.classes[pairs[:, 0]]), 1)
        matrix[:-1, -1] += np.bincount(of_image.classes[result.missed], minlength=categories)
        matrix[-1, :-1] += np.bincount(found.classes[result.false], minlength=categories)
    return matrix


def _across(
    labels: Labels, predictions: Predictions, rest: NDArray[np.int64], free: NDArray[np.bool_]
) -> tuple[list[tuple[int, int]], list[int]]:
    """Pairs of the predictions `rest` with labels that are `free` (taken ones are struck out), and who found none."""
    overlaps = overlap(predictions.boxes_xyxy[rest], labels.boxes_xyxy, crowd_of(labels))  # (R, L)
    pairs, alone = [], []
    for row, index in enumerate(rest.tolist()):
        candidates = np.flatnonzero(free & (overlaps[row] >= IOU))
        if candidates.size:
            best = int(candidates[overlaps[row, candidates].argmax()])
            pairs.append((index, best))
            free[best] = False
        else:
            alone.append(index)
    return pairs, alone
