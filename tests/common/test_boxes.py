import numpy as np

from common.boxes import Boxes, clip, iou


def boxes(*rows: tuple[float, float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_iou_is_zero_when_boxes_only_touch() -> None:
    assert iou(boxes((0, 0, 10, 10)), boxes((10, 0, 20, 10))).tolist() == [[0.0]]


def test_iou_of_half_overlap_is_a_third() -> None:
    # Two 10 x 10 boxes share 5 x 10 = 50; the union is 100 + 100 - 50 = 150.
    assert np.isclose(iou(boxes((0, 0, 10, 10)), boxes((5, 0, 15, 10)))[0, 0], 50 / 150)


def test_iou_of_boxes_without_area_is_zero_and_not_a_division_by_zero() -> None:
    assert iou(boxes((3, 3, 3, 3)), boxes((3, 3, 3, 3))).tolist() == [[0.0]]


def test_clip_cuts_at_the_edges_of_the_image() -> None:
    assert clip(boxes((-5, 2, 700, 490)), 640, 480).tolist() == [[0, 2, 640, 480]]
