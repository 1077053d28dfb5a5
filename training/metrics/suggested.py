"""The threshold at which a category's boxes are right most often: the highest F1 on labelled images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.metrics.analysis import Analysis, Curve

LEAST_LABELS = 10
"""With fewer labels one box more or less moves the best threshold anywhere."""


@dataclass(frozen=True)
class Suggestion:
    """A threshold with what it gives on the images it was found on.

    Attributes:
        threshold: scores from here on are shown, in [0, 1].
        basis: "own": found on the category's own labels; "shared": it has fewer than 10, so that the threshold is the
            best for all categories together.
        precision: of the category at this threshold; None where nothing would be shown.
        recall: of the category; None where it has no label.
        f1: of the category; None where it has no label.
    """

    threshold: float
    basis: Literal["own", "shared"]
    precision: float | None
    recall: float | None
    f1: float | None


def suggest(analysis: Analysis) -> Mapping[str, Suggestion | None]:
    """A threshold for each category by name, None where nothing can be said.

    A category with 10 labels or more has the threshold of its own highest F1. One with fewer takes that of all
    categories together, if these have 10 labels. Nothing can be said where no prediction is right.
    """
    shared = best_threshold(analysis.pooled) if analysis.pooled.labels >= LEAST_LABELS else None
    suggestions: dict[str, Suggestion | None] = {}
    for name, curve in zip(analysis.names, analysis.curves, strict=True):
        own = curve.labels >= LEAST_LABELS
        threshold = best_threshold(curve) if own else shared
        suggestions[name] = None if threshold is None else _told(curve, threshold, "own" if own else "shared")
    return suggestions


def best_threshold(curve: Curve) -> float | None:
    """The threshold of the highest F1, between the last score it keeps and the next below; None: nothing is right.

    Of equals the highest, which shows less. It has two decimals where that keeps the same boxes, as a slider has.
    """
    f1 = curve.f1
    if not f1.size or f1.max() <= 0:
        return None
    best = int(f1.argmax())
    kept = float(curve.thresholds[best])
    below = float(curve.thresholds[best + 1]) if best + 1 < len(curve.thresholds) else 0.0
    middle = (kept + below) / 2
    rounded = round(middle, 2)
    return rounded if below < rounded <= kept else middle


def thresholds_of(
    names: tuple[str, ...], suggestions: Mapping[str, Suggestion | None], default: float
) -> NDArray[np.float64]:
    """(K,) the suggested threshold of each category, `default` where there is none."""
    chosen = [suggestions[name] for name in names]
    return np.array([default if found is None else found.threshold for found in chosen], np.float64)


def _told(curve: Curve, threshold: float, basis: Literal["own", "shared"]) -> Suggestion:
    right, wrong = curve.at(threshold)
    return Suggestion(
        threshold,
        basis,
        precision=right / (right + wrong) if right + wrong else None,
        recall=right / curve.labels if curve.labels else None,
        f1=2 * right / (right + wrong + curve.labels) if curve.labels else None,
    )
