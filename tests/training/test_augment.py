import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.preprocessing import Preprocessing
from training.augment import (
    Augmentation,
    Example,
    cropped,
    mirrored,
    randomly_cropped,
    recolored,
    resized,
    without_slivers,
)

OWN_SIZE = Preprocessing(40, 160)  # the scenes' own: nothing is resized but parts
LEVELS = (90, 170, 250)


def scene(height: int = 40, width: int = 60, boxes: list[list[float]] | None = None) -> Example:
    """A black image with every box filled by a level of its own."""
    rows = np.array(boxes if boxes is not None else [[10, 5, 20, 15], [30, 20, 50, 36]], np.float32).reshape(-1, 4)
    image = np.zeros((height, width, 3), np.uint8)
    for index, (x1, y1, x2, y2) in enumerate(rows.astype(int)):
        image[y1:y2, x1:x2] = LEVELS[index]
    return Example(image, rows, np.arange(len(rows)))


def assert_boxes_fit_their_objects(example: Example, within_px: float = 0.0) -> None:
    for box, class_id in zip(example.boxes_xyxy, example.classes, strict=True):
        ys, xs = np.nonzero((abs(example.image.astype(int) - LEVELS[class_id]) < 20).all(-1))
        np.testing.assert_allclose(box, [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=within_px + 1e-4)


def test_a_mirrored_box_still_holds_its_object() -> None:
    flipped = mirrored(scene())
    # 60 wide: x from 10..20 becomes 40..50
    np.testing.assert_allclose(flipped.boxes_xyxy[0], [40, 5, 50, 15])
    assert_boxes_fit_their_objects(flipped)


def test_mirroring_twice_changes_nothing() -> None:
    twice = mirrored(mirrored(scene()))
    np.testing.assert_array_equal(twice.image, scene().image)
    np.testing.assert_array_equal(twice.boxes_xyxy, scene().boxes_xyxy)


def test_a_crop_moves_and_cuts_boxes() -> None:
    part = cropped(scene(), 15, 0, 60, 40)
    # half of the first box (10..20 wide) is left: above 40 %, so it stays
    np.testing.assert_allclose(part.boxes_xyxy, [[0, 5, 5, 15], [15, 20, 35, 36]])
    assert part.image.shape == (40, 45, 3)
    assert_boxes_fit_their_objects(part)


def test_a_crop_drops_a_box_that_is_mostly_outside() -> None:
    part = cropped(scene(), 18, 0, 60, 40)
    np.testing.assert_array_equal(part.classes, [1])


def test_a_resized_image_is_what_detection_would_see() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (61, 97, 3), dtype=np.uint8)
    example = Example(pixels, np.array([[0, 0, 97, 61], [9, 6, 20, 30]], np.float32), np.arange(2))
    for sizes in (Preprocessing(40, 160), Preprocessing(120, 150), Preprocessing(61, 97)):
        changed = resized(example, sizes.resized_hw(61, 97))
        np.testing.assert_array_equal(changed.image, sizes.resize(pixels))
        np.testing.assert_array_equal(sizes.resize(changed.image), changed.image)  # nothing is left to do
        height, width = changed.size_hw
        np.testing.assert_allclose(changed.boxes_xyxy[0], [0, 0, width, height])
        np.testing.assert_allclose(changed.boxes_xyxy[1], np.array([9, 6, 20, 30]) * ([width / 97, height / 61] * 2))


@st.composite
def scenes(draw: st.DrawFn) -> Example:
    """One rectangle of at least 12 px a side on an image of 40 to 200 px a side."""
    height, width = draw(st.integers(40, 200)), draw(st.integers(40, 200))
    x, y = draw(st.integers(0, width - 12)), draw(st.integers(0, height - 12))
    return scene(height, width, [[x, y, draw(st.integers(x + 12, width)), draw(st.integers(y + 12, height))]])


@settings(max_examples=150)
@given(scenes(), st.integers(0, 10_000), st.sampled_from([48, 80, 120]))
def test_boxes_stay_around_the_pixels_they_were_around(example: Example, seed: int, short: int) -> None:
    change = Augmentation(flip=0.5, crop=0.5, color=0.0)
    scale = Preprocessing(short, 3 * short)
    changed, _ = change(example, np.random.default_rng(seed), scale)
    assert scale.resize(changed.image).shape == changed.image.shape
    assert len(changed.boxes_xyxy) == 1
    height, width = changed.size_hw
    ys, xs = np.nonzero(changed.image[..., 0] > LEVELS[0] / 2)
    found = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    enlarged = max(height, width) / 40  # half a pixel of what an edge was before it was enlarged
    np.testing.assert_allclose(changed.boxes_xyxy[0], found, atol=max(1.0, enlarged))


@pytest.mark.parametrize("seed", range(20))
def test_a_random_part_cuts_no_object_in_two(seed: int) -> None:
    example = scene(40, 60, [[4, 4, 14, 14], [30, 20, 42, 34]])
    found = randomly_cropped(example, np.random.default_rng(seed))
    assert len(found.boxes_xyxy) >= 1
    for index, level in enumerate(LEVELS[:2]):
        visible = int((abs(found.image.astype(int) - level) < 20).all(-1).sum())
        assert index in found.classes or visible <= 0.1 * 168  # at most a tenth of either


def test_a_random_part_is_drawn_often_and_of_many_sizes() -> None:
    draws = [randomly_cropped(scene(), np.random.default_rng(seed)) for seed in range(40)]
    assert len({drawn.image.shape for drawn in draws}) > 20


def test_what_may_not_be_mirrored_or_cut_is_not() -> None:
    change = Augmentation(flip=1.0, crop=1.0)
    for seed in range(5):
        changed, is_mirrored = change(scene(), np.random.default_rng(seed), OWN_SIZE, flips=False, crops=False)
        assert not is_mirrored
        np.testing.assert_array_equal(changed.image, scene().image)
    assert change(scene(), np.random.default_rng(0), OWN_SIZE)[1]


def test_changes_are_the_same_for_the_same_seed() -> None:
    change = Augmentation(flip=0.5, crop=0.5, color=0.3)
    first, second = (change(scene(), np.random.default_rng(7), OWN_SIZE)[0] for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.boxes_xyxy, second.boxes_xyxy)


def test_an_image_without_boxes_can_be_cropped() -> None:
    changed, _ = Augmentation(crop=1.0)(scene(boxes=[]), np.random.default_rng(1), OWN_SIZE)
    assert changed.boxes_xyxy.shape == (0, 4)
    assert changed.image.any() == scene(boxes=[]).image.any()


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 500), (500, 1), (3, 4000)])
def test_images_of_any_shape_pass(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    example = Example(np.zeros((*size_hw, 3), np.uint8), np.array([[0, 0, width, height]], np.float32), np.arange(1))
    changed, _ = Augmentation(0.5, 1.0, 0.2)(example, np.random.default_rng(0), Preprocessing(32, 53))
    assert len(changed.boxes_xyxy) == 1


def test_contrast_keeps_the_mean() -> None:
    changed = recolored(scene(), 0, -0.1, 0, 0)
    assert abs(float(changed.image.mean()) - float(scene().image.mean())) < 1


def test_colours_change_as_they_are_told() -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[:] = (200, 100, 50)
    example = Example(pixels, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    np.testing.assert_allclose(recolored(example, 0, 0, 0, 0).image[0, 0], (200, 100, 50), atol=1)
    np.testing.assert_allclose(recolored(example, 0.1, 0, 0, 0).image[0, 0], (220, 110, 55), atol=1)
    # without saturation only luminance is left: 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    np.testing.assert_allclose(recolored(example, 0, 0, -1, 0).image[0, 0], (124, 124, 124), atol=2)
    turned = recolored(example, 0, 0, 0, 0.2).image[0, 0]
    assert 3 < abs(turned.astype(int) - (200, 100, 50)).max() < 40  # still an orange
    assert abs(turned @ np.array([0.299, 0.587, 0.114]) - 124.2) < 1.5


def test_boxes_of_less_than_a_pixel_are_no_targets() -> None:
    boxes = np.array([[1, 1, 1.5, 9], [2, 2, 9, 9], [59.5, 2, 70, 9], [50, 30, 70, 60]], np.float32)
    found = without_slivers(Example(scene().image, boxes, np.arange(4)))
    np.testing.assert_array_equal(found.boxes_xyxy, [[2, 2, 9, 9], [50, 30, 60, 40]])
    np.testing.assert_array_equal(found.classes, [1, 3])


def test_an_image_with_2000_boxes_is_changed() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, [600, 440], (2000, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(4, 40, (2000, 2))], axis=1).astype(np.float32)
    example = Example(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8), boxes, np.arange(2000))
    change = Augmentation(flip=1.0, crop=1.0, color=0.2)
    changed, _ = change(example, rng, Preprocessing(320, 533))
    assert len(changed.boxes_xyxy) > 100
