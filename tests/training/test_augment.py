import numpy as np
import pytest

from training.augment import Augmentation, Example, cropped, mirrored, recolored, without_slivers


def scene(height: int = 40, width: int = 60, boxes: list[list[float]] | None = None) -> Example:
    """A black image with every box filled by a colour of its own."""
    rows = np.array(boxes if boxes is not None else [[10, 5, 20, 15], [30, 20, 50, 36]], np.float32).reshape(-1, 4)
    image = np.zeros((height, width, 3), np.uint8)
    for index, (x1, y1, x2, y2) in enumerate(rows.astype(int)):
        image[y1:y2, x1:x2] = 100 + 50 * index
    return Example(image, rows, np.arange(len(rows)))


def assert_boxes_fit_their_objects(example: Example) -> None:
    for box, class_id in zip(example.boxes_xyxy, example.classes, strict=True):
        ys, xs = np.nonzero((example.image == 100 + 50 * class_id).all(-1))
        np.testing.assert_allclose(box, [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


def test_a_mirrored_box_still_holds_its_object() -> None:
    flipped = mirrored(scene())
    # 60 wide: x from 10..20 becomes 40..50
    np.testing.assert_allclose(flipped.boxes_xyxy[0], [40, 5, 50, 15])
    assert_boxes_fit_their_objects(flipped)


def test_a_crop_moves_and_cuts_boxes() -> None:
    part = cropped(scene(), 15, 0, 60, 40)
    # half of the first box (10..20 wide) is left: above 40 %, so it stays
    np.testing.assert_allclose(part.boxes_xyxy, [[0, 5, 5, 15], [15, 20, 35, 36]])
    assert part.image.shape == (40, 45, 3)
    assert_boxes_fit_their_objects(part)


def test_a_crop_drops_a_box_that_is_mostly_outside() -> None:
    part = cropped(scene(), 18, 0, 60, 40)
    np.testing.assert_array_equal(part.classes, [1])


@pytest.mark.parametrize("seed", range(20))
def test_random_changes_keep_every_box_on_its_object(seed: int) -> None:
    changed, _ = Augmentation(flip=0.5, crop=1.0)(scene(), np.random.default_rng(seed))
    assert len(changed.boxes_xyxy) >= 1
    assert_boxes_fit_their_objects(changed)


def test_changes_are_the_same_for_the_same_seed() -> None:
    change = Augmentation(flip=0.5, crop=0.5, color=0.3)
    first, second = (change(scene(), np.random.default_rng(7))[0] for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.boxes_xyxy, second.boxes_xyxy)


def test_an_image_without_boxes_can_be_cropped() -> None:
    changed, _ = Augmentation(crop=1.0)(scene(boxes=[]), np.random.default_rng(1))
    assert changed.boxes_xyxy.shape == (0, 4)


def test_contrast_keeps_the_mean() -> None:
    example = scene()
    changed = recolored(example, brightness=1.0, contrast=0.9)
    assert abs(float(changed.image.mean()) - float(example.image.mean())) < 1


def test_boxes_of_less_than_a_pixel_are_no_targets() -> None:
    example = scene(boxes=[[1, 1, 1.5, 9], [2, 2, 9, 9], [59.5, 2, 70, 9]])
    np.testing.assert_array_equal(without_slivers(example).boxes_xyxy, [[2, 2, 9, 9]])
