"""Detections compared where rounding decides the order: what scores alike may come in any."""

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def assert_same_up_to_ties(ours: sv.Detections, expected: sv.Detections, *, score: float, box_px: float) -> None:
    """Ours, best first, and the expected ones, in any order, are pairs of equal classes and nearly equal numbers.

    Args:
        ours: what is tested.
        expected: as many; with masks where ours have some, of which a pixel on the edge may fall either way.
        score: how far those of a pair may be apart.
        box_px: how far each side's may.
    """
    assert len(ours) == len(expected) > 0
    assert ours.confidence is not None and expected.confidence is not None
    assert ours.class_id is not None and expected.class_id is not None
    assert (np.diff(ours.confidence) <= 0).all()
    alike = ours.class_id[:, None] == expected.class_id  # (N, N)
    alike &= np.abs(ours.confidence[:, None] - expected.confidence) <= score
    alike &= (np.abs(ours.xyxy[:, None] - expected.xyxy) <= box_px).all(axis=-1)
    assert (ours.mask is None) == (expected.mask is None)
    if ours.mask is not None and expected.mask is not None:
        alike &= _masks_alike(np.asarray(ours.mask), np.asarray(expected.mask))
    rows, columns = linear_sum_assignment(~alike)
    alone = rows[~alike[rows, columns]]
    assert len(alone) == 0, f"without a partner of their own: {ours.xyxy[alone]}, {ours.confidence[alone]}"


def _masks_alike(ours: NDArray[np.bool_], expected: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each pair whether less than a thousandth of the picture differs; (N, H, W) and (M, H, W) to (N, M)."""
    return np.array([[(own != other).mean() < 0.001 for other in expected] for own in ours])
