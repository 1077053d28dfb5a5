"""What two detectors make of one picture: where they agree, and what one of them has not seen."""

from dataclasses import dataclass

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from common.boxes import iou
from engine.errors import EngineError

SAME_IOU = 0.5
"""Two boxes of one category that overlap less are not about one object."""


@dataclass(frozen=True)
class Consensus:
    """What a second detector says of the boxes of a first, on the same picture and the same categories.

    Attributes:
        agreement: (N,) float32, for each box of the first its IoU with its partner; 0 where the second sees no such
            object there.
        missed: (K,) int64, the boxes of the second that have no partner, ascending: what the first may have missed.
    """

    agreement: NDArray[np.float32]
    missed: NDArray[np.int64]


def consensus(first: sv.Detections, second: sv.Detections, *, same_iou: float = SAME_IOU) -> Consensus:
    """Match the boxes of two detectors one to one within each category; the pair that overlaps most is matched first.

    So no two boxes overlap each other more than both overlap their partners, and, but for pairs that overlap exactly as
    much, it does not matter who is first. Scores are not looked at: leave out beforehand what counts as not found.

    Args:
        first: N boxes, `xyxy` in pixels and `class_id`.
        second: M boxes, `class_id` an index into the same categories.
        same_iou: the least IoU of partners, above 0 and up to 1.

    Raises:
        EngineError: boxes without categories, or no such IoU.
    """
    if not 0 < same_iou <= 1:
        raise EngineError(f"An IoU of {same_iou:g} is not above 0 and up to 1. Give one for example of {SAME_IOU:g}.")
    overlaps = iou(first.xyxy.astype(np.float32), second.xyxy.astype(np.float32))  # (N, M)
    overlaps[_categories(first)[:, None] != _categories(second)[None, :]] = 0
    rows, columns = np.nonzero(overlaps >= same_iou)
    agreement = np.zeros(len(first), np.float32)
    partnered = np.zeros(len(second), np.bool_)
    for pair in np.argsort(-overlaps[rows, columns], kind="stable"):
        row, column = rows[pair], columns[pair]
        if not agreement[row] and not partnered[column]:
            agreement[row], partnered[column] = overlaps[row, column], True
    return Consensus(agreement, np.flatnonzero(~partnered))


def _categories(detections: sv.Detections) -> NDArray[np.int64]:
    if detections.class_id is None:
        raise EngineError(f"{len(detections)} boxes came without categories. Give a detector's own results.")
    categories: NDArray[np.int64] = detections.class_id.astype(np.int64)
    return categories
