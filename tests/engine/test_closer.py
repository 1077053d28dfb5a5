"""A small SAM that looks at the surroundings of each thing."""

import numpy as np
import pytest

from engine.preprocessing import Picture
from engine.segmenters.base import Masks
from engine.segmenters.closer import CloserLook
from engine.segmenters.loading import STARTER_FOLDER
from engine.segmenters.sam_transformers import TransformersSam, load_transformers_sam
from engine.segmenters.windows import Window


@pytest.fixture(scope="module")
def sam() -> TransformersSam:
    return load_transformers_sam(STARTER_FOLDER, device="cpu")


def iou(one: Masks, other: Masks) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def flower(radius: float, centre: tuple[int, int] = (431, 217)) -> tuple[Picture, Masks]:
    """A flower of five petals, small on a large picture."""
    rows, columns = np.indices((480, 640))
    angle = np.arctan2(rows - centre[1], columns - centre[0])
    reach = np.hypot(rows - centre[1], columns - centre[0])
    petals: Masks = reach <= radius * (0.75 + 0.25 * np.cos(5 * angle))
    noise = np.random.default_rng(0).integers(-15, 15, (480, 640, 3))
    image = np.where(petals[..., None], [200, 80, 160], [90, 120, 100]) + noise
    return image.clip(0, 255).astype(np.uint8), petals


def box_of(mask: Masks) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float32)


@pytest.mark.parametrize("radius", [7, 12, 25])
def test_small_things_are_outlined_better_than_in_a_look_at_the_whole_picture(
    sam: TransformersSam, radius: float
) -> None:
    image, petals = flower(radius)
    closer = CloserLook(sam)
    found: list[Masks] = []
    for segmenter in (sam, closer):
        segmenter.set_image(image)
        found.append(segmenter.predict(boxes_xyxy=box_of(petals))[0])
    assert iou(found[1], petals) > max(0.85, iou(found[0], petals))


def test_a_click_finds_a_small_thing(sam: TransformersSam) -> None:
    image, petals = flower(20)
    closer = CloserLook(sam)
    closer.set_image(image)
    (mask,) = closer.predict(points_xy=np.array([[[431, 217]]], np.float32))
    assert iou(mask, petals) > 0.8


def test_a_click_beside_the_thing_takes_it_away_from_there(sam: TransformersSam) -> None:
    image, petals = flower(60)
    closer = CloserLook(sam)
    closer.set_image(image)
    spot = np.array([[[431, 200]]], np.float32)
    (mask,) = closer.predict(boxes_xyxy=box_of(petals), points_xy=spot, point_labels=np.array([[0]]))
    assert petals[200, 431]
    assert not mask[200, 431]


def test_looking_at_a_picture_costs_nothing_before_something_is_asked(sam: TransformersSam) -> None:
    closer = CloserLook(sam)
    sam.set_image(flower(20)[0])
    closer.set_image(np.zeros((9, 9, 3), np.uint8))
    assert sam.predict(boxes_xyxy=np.array([[0, 0, 9, 9]], np.float32)).shape == (1, 480, 640)


def test_a_window_knows_the_way_there_and_back() -> None:
    image = np.zeros((400, 600, 3), np.uint8)
    window = Window.around(image, np.array([100, 80, 300, 180], np.float32), (50, 100), longest=100)
    assert (window.left, window.top, window.right, window.bottom) == (50, 0, 350, 280)
    assert window.pixels.shape == (93, 100, 3)
    np.testing.assert_allclose(window.place_box(np.array([50, 0, 350, 280], np.float32)), [0, 0, 100, 93])
    out = np.zeros((400, 600), np.bool_)
    window.paste(np.ones((93, 100), np.bool_), out)
    assert out[0:280, 50:350].all()
    assert out.sum() == 280 * 300
