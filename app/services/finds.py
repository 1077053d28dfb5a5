"""What detectors found on one image, before it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotations.shapes import Box
from common.masks import Rle

if TYPE_CHECKING:
    import supervision as sv

SURE = 0.3
"""Where two detectors are compared, what scores less counts as not found."""


@dataclass(frozen=True)
class Found:
    """One box on an image.

    Attributes:
        category: index into the question's categories.
        xyxy: pixels of the upright image.
        score: a probability.
        rle: its mask; None: box only.
        agreement: IoU with a second detector's box, 0 where that one has none; None: it was not asked.
        by: the second detector, where it alone has found it.
    """

    category: int
    xyxy: Box
    score: float
    rle: Rle | None = None
    agreement: float | None = None
    by: str | None = None


def finds_of(detections: "sv.Detections") -> list[Found]:
    """The detections, the best first."""
    order = best_first(detections)
    if detections.confidence is None or detections.class_id is None:
        return []
    boxes = detections.xyxy[order].astype(np.float32).tolist()
    rows = zip(detections.class_id[order].tolist(), boxes, detections.confidence[order].tolist(), strict=True)
    return [Found(category, (x1, y1, x2, y2), score) for category, (x1, y1, x2, y2), score in rows]


def best_first(detections: "sv.Detections") -> NDArray[np.intp]:
    """The places of the detections by falling score, equals in order."""
    scores = np.zeros(0) if detections.confidence is None else np.asarray(detections.confidence, np.float64)
    return np.argsort(-scores, kind="stable")


def compared(found: Sequence[Found], others: Sequence[Found], by: str) -> tuple[Found, ...]:
    """The finds, the sure ones with how far another detector agrees, and then those that it alone is sure of.

    Args:
        found: by one detector.
        others: by the other, on the same image for the same categories.
        by: its name.
    """
    from engine.consensus import consensus

    sure = [place for place, box in enumerate(found) if box.score >= SURE]
    theirs = [box for box in others if box.score >= SURE]
    both = consensus(_detections([found[place] for place in sure]), _detections(theirs))
    agreements = dict(zip(sure, both.agreement.tolist(), strict=True))
    told = [replace(box, agreement=agreements.get(place)) for place, box in enumerate(found)]
    return (*told, *(replace(theirs[place], agreement=0.0, by=by) for place in both.missed))


def _detections(found: Sequence[Found]) -> "sv.Detections":
    import supervision as sv

    return sv.Detections(
        xyxy=np.array([box.xyxy for box in found], np.float32).reshape(-1, 4),
        class_id=np.array([box.category for box in found], np.int64),
    )
