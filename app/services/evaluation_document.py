"""What `evaluate --json` prints and the page keeps: an evaluation as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from training.metrics.analysis import Analysis, Curve
    from training.metrics.coco import Labels, Predictions
    from training.metrics.confusion import Outcome
    from training.metrics.suggested import Suggestion

COMMON_THRESHOLD = 0.4
"""Of categories for which none is suggested: what the page starts with."""

MOST_POINTS = 101
"""Of one curve in a document; fewer where there are many categories."""

ALL_POINTS = 20_000
"""Of all curves of a document together."""

MOST_REASONS = 20
"""Of what was left out."""


@dataclass(frozen=True)
class EvaluationDocument:
    """What `evaluate --json` prints.

    `metrics` and `per_category` follow the published protocol: all 300 boxes of an image, overlaps included. The
    rest is about what the page would show: without doubles, scores from 0.05.

    Attributes:
        detector: its name.
        dataset: its name.
        split: None: images of every split.
        images: how many were looked at.
        metrics: name -> value in [0, 1]; None where there is nothing to measure.
        per_category: name -> {"AP", "AP50", "annotations"}.
        task: "detect", "ground" or "refer".
        confusion: {"names", "matrix", "thresholds", "iou"}: a row for each true category and one for the background,
            a column for each predicted one and one for what was missed.
        curves: {"all": curve, "per_category": name -> curve}; a curve is {"labels", "thresholds", "precision",
            "recall", "f1"}, the highest threshold first.
        suggested_thresholds: name -> {"threshold", "basis", "precision", "recall", "f1"}, or None.
        skipped: {"count", "reasons"}: images or texts left out because they can't be read, and why, of the first 20;
            None: there were none.
    """

    detector: str
    dataset: str
    split: str | None
    images: int
    metrics: Mapping[str, float | None]
    per_category: Mapping[str, Mapping[str, float | int | None]]
    task: str = "detect"
    confusion: Mapping[str, Any] | None = None
    curves: Mapping[str, Any] | None = None
    suggested_thresholds: Mapping[str, Any] | None = None
    skipped: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, object]:
        """The document with plain values; what does not belong to its task is left out."""
        optional = ("confusion", "curves", "suggested_thresholds", "skipped")
        return {key: value for key, value in asdict(self).items() if value is not None or key not in optional}


def left_out(reasons: Sequence[str]) -> dict[str, Any] | None:
    """The part of a document about what can't be read: a reason for each image or text."""
    return {"count": len(reasons), "reasons": list(dict.fromkeys(reasons))[:MOST_REASONS]} if reasons else None


def thresholds_told(
    labels: Sequence["Labels"], predictions: Sequence["Predictions"], names: Sequence[str], threshold: float | None
) -> tuple[dict[str, Any], list["Outcome"]]:
    """The document's parts about thresholds, and what they make of each image.

    Args:
        labels: one per image.
        predictions: one per image, as the page would show them.
        names: of the categories.
        threshold: of the confusion matrix; None: each category's suggested one.
    """
    from training.metrics.analysis import IOU, analyse
    from training.metrics.confusion import confusion_matrix, outcome
    from training.metrics.suggested import suggest, thresholds_of

    analysis = analyse(labels, predictions, names)
    suggestions = suggest(analysis)
    thresholds = (
        thresholds_of(analysis.names, suggestions, COMMON_THRESHOLD)
        if threshold is None
        else np.full(len(names), threshold)
    )
    outcomes = [
        outcome(of_image, found, matches, thresholds)
        for of_image, found, matches in zip(labels, predictions, analysis.matches, strict=True)
    ]
    confusion = {
        "names": list(names),
        "matrix": confusion_matrix(labels, predictions, outcomes, len(names)).tolist(),
        "thresholds": dict(zip(names, (round(float(value), 4) for value in thresholds), strict=True)),
        "iou": IOU,
    }
    parts = {
        "confusion": confusion,
        "curves": _curves_json(analysis),
        "suggested_thresholds": {name: _suggestion_json(found) for name, found in suggestions.items()},
    }
    return parts, outcomes


def _curves_json(analysis: "Analysis") -> dict[str, Any]:
    most = max(11, min(MOST_POINTS, ALL_POINTS // max(len(analysis.names), 1)))
    return {
        "all": _curve_json(analysis.pooled.thinned(MOST_POINTS)),
        "per_category": {
            name: _curve_json(curve.thinned(most)) for name, curve in zip(analysis.names, analysis.curves, strict=True)
        },
    }


def _curve_json(curve: "Curve") -> dict[str, Any]:
    values = {"thresholds": curve.thresholds, "precision": curve.precision, "recall": curve.recall, "f1": curve.f1}
    return {"labels": curve.labels} | {key: np.round(value, 4).tolist() for key, value in values.items()}


def _suggestion_json(suggestion: "Suggestion | None") -> dict[str, Any] | None:
    if suggestion is None:
        return None
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(suggestion).items()}
