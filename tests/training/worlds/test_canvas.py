"""A picture in the making."""

import numpy as np

from training.worlds.canvas import Canvas, Shadow
from training.worlds.poses import Posed


def block(width: int, height: int, level: int = 200) -> Posed:
    """An opaque grey rectangle with a transparent pixel around it."""
    picture = np.zeros((height + 2, width + 2, 4), np.uint8)
    picture[1:-1, 1:-1] = (level, level, level, 255)
    return Posed(picture, (1, 1, width + 1, height + 1))


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


def test_a_thing_takes_its_pixels_and_nothing_else_changes() -> None:
    canvas = Canvas(grey(20, 30))
    assert canvas.put(block(5, 4), (10, 6))
    assert canvas.boxes == [(10, 6, 15, 10)]
    inside = canvas.owner == 1
    assert inside.sum() == inside[6:10, 10:15].sum() == 20
    assert (canvas.image[inside] == 200).all()
    assert (canvas.image[~inside] == 100).all()


def test_of_a_thing_across_the_edge_the_box_is_what_lies_inside() -> None:
    canvas = Canvas(grey(20, 30))
    assert canvas.put(block(8, 8), (-3, 16))
    assert canvas.boxes == [(0, 16, 5, 20)]
    assert (canvas.owner == 1).sum() == 20


def test_a_thing_outside_is_left_out() -> None:
    canvas = Canvas(grey(20, 30))
    assert not canvas.put(block(8, 8), (-8, 2))
    assert canvas.boxes == []
    assert (canvas.image == 100).all()


def test_at_least_two_fifths_of_a_thing_stay_visible() -> None:
    canvas = Canvas(grey(20, 30))
    assert canvas.put(block(10, 10), (0, 0))
    assert canvas.put(block(6, 9), (0, 0))  # leaves 46 of 100 pixels
    assert not canvas.put(block(1, 10), (9, 0))  # would leave 36
    assert canvas.put(block(2, 2), (8, 8))  # leaves 42
    assert [(canvas.owner == number).sum() for number in (1, 2, 3)] == [42, 54, 4]


def test_half_transparent_pixels_mix() -> None:
    picture = np.zeros((3, 3, 4), np.uint8)
    picture[1, 1], picture[1, 2] = (200, 200, 200, 255), (100, 100, 100, 128)
    canvas = Canvas(grey(3, 3))
    canvas.put(Posed(picture, (1, 1, 3, 2)), (1, 1))
    assert canvas.image[1, 2].tolist() == [150, 150, 150]  # 100 of the thing, 127/255 of the 100 behind it


def test_a_shadow_darkens_what_lies_beside_a_thing() -> None:
    canvas = Canvas(grey(40, 40), Shadow((4, 4), 3, 0.5))
    canvas.put(block(10, 10), (10, 10))
    assert (canvas.image[10:20, 10:20] == 200).all()
    assert canvas.image[22, 22, 0] < 70
    assert canvas.image[8, 8, 0] == 100
    assert (canvas.owner > 0).sum() == 100
