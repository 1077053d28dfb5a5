"""Boxes as arrays of pixels."""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def iou(a_xyxy: Boxes, b_xyxy: Boxes) -> Boxes:
    """Intersection over union of every pair of boxes.

    On continuous coordinates: a box from x1 to x2 is x2 - x1 wide, not x2 - x1 + 1
    (Rezatofighi et al., arXiv:1902.09630). A pair without any area scores 0.

    Args:
        a_xyxy: (N, 4) pixels.
        b_xyxy: (M, 4) pixels.

    Returns:
        (N, M) in [0, 1].
    """
    top_left = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])  # (N, M, 2)
    bottom_right = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])  # (N, M, 2)
    intersection = np.clip(bottom_right - top_left, 0, None).prod(axis=-1)  # (N, M)
    union = area(a_xyxy)[:, None] + area(b_xyxy)[None, :] - intersection
    result: Boxes = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return result


def area(boxes_xyxy: Boxes) -> Boxes:
    """Area of each box in square pixels; (N, 4) -> (N,)."""
    size = np.clip(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0, None)  # (N, 2)
    result: Boxes = size.prod(axis=-1)
    return result


def clip(boxes_xyxy: Boxes, width: int, height: int) -> Boxes:
    """The boxes cut at the edges of an image of `width` x `height` pixels; (N, 4) -> (N, 4)."""
    limits = np.array([width, height, width, height], np.float32)
    result: Boxes = np.clip(boxes_xyxy, 0, limits).astype(np.float32)
    return result
