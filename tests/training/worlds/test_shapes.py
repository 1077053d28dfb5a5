"""The outlines of plain shapes."""

import cv2
import numpy as np
import pytest

from training.worlds.concepts import SHAPES
from training.worlds.shapes import shape_masks


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_fills_its_picture_and_its_rim_is_thin(shape: str) -> None:
    whole, inner = shape_masks(shape)
    assert max(whole.shape) >= 100
    assert cv2.boundingRect(whole)[2:] == whole.shape[::-1]
    assert (inner <= whole).all()
    assert 0.6 * whole.sum() < inner.sum() < 0.97 * whole.sum()


def test_no_two_shapes_look_alike() -> None:
    solid = {shape: cv2.resize(shape_masks(shape)[0], (64, 64)) > 127 for shape in SHAPES}
    by_aspect = {shape: shape_masks(shape)[0].shape[1] / shape_masks(shape)[0].shape[0] for shape in SHAPES}
    for place, one in enumerate(SHAPES):
        for other in SHAPES[:place]:
            iou = (solid[one] & solid[other]).sum() / (solid[one] | solid[other]).sum()
            assert iou < 0.9 or abs(np.log(by_aspect[one] / by_aspect[other])) > 0.4, (one, other)


def test_ovals_and_rectangles_are_much_wider_than_high() -> None:
    for shape, aspect in (("oval", 1.8), ("rectangle", 2.0), ("circle", 1.0), ("square", 1.0)):
        height, width = shape_masks(shape)[0].shape
        assert width / height == pytest.approx(aspect, abs=0.05)


def test_a_ring_has_a_hole_and_a_circle_has_none() -> None:
    assert shape_masks("ring")[0][64, 64] == 0
    assert shape_masks("circle")[0][64, 64] == 255
