"""What GrabCut and the starter's segmenter both promise."""

import numpy as np
import pytest

from engine.errors import EngineError
from engine.preprocessing import Picture
from engine.segmenters.base import Masks, Segmenter
from engine.segmenters.loading import load_segmenter


def iou(one: Masks, other: Masks) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def scene(height: int = 200, width: int = 300, radius: int = 40) -> tuple[Picture, Masks]:
    """A red disc at (150, 100) on green grass."""
    rows, columns = np.indices((height, width))
    disc = (columns - 150) ** 2 + (rows - 100) ** 2 <= radius**2
    noise = np.random.default_rng(0).integers(-20, 20, (height, width, 3))
    image = np.where(disc[..., None], [190, 40, 40], [60, 140, 60]) + noise
    return image.clip(0, 255).astype(np.uint8), disc


def box(*xyxy: float) -> np.ndarray:
    return np.array([xyxy], np.float32)


@pytest.fixture(params=["grabcut", "starter"])
def segmenter(request: pytest.FixtureRequest) -> Segmenter:
    return load_segmenter(request.param, device="cpu")


def test_it_has_the_name_it_was_asked_for(segmenter: Segmenter, request: pytest.FixtureRequest) -> None:
    assert segmenter.name in request.node.name


def test_a_box_finds_the_object_in_it(segmenter: Segmenter) -> None:
    image, disc = scene()
    segmenter.set_image(image)
    masks = segmenter.predict(boxes_xyxy=box(108, 58, 193, 143))
    assert masks.shape == (1, 200, 300)
    assert masks.dtype == np.bool_
    assert iou(masks[0], disc) > 0.95


def test_a_point_finds_the_object_under_it(segmenter: Segmenter) -> None:
    image, disc = scene()
    segmenter.set_image(image)
    mask = segmenter.predict(points_xy=np.array([[[150, 100]]], np.float32))[0]
    assert iou(mask, disc) > 0.9


def test_a_negative_point_takes_its_surroundings_away(segmenter: Segmenter) -> None:
    image, _ = scene()
    segmenter.set_image(image)
    spot = np.array([[[150, 75]]], np.float32)
    without = segmenter.predict(boxes_xyxy=box(100, 50, 200, 150))[0]
    corrected = segmenter.predict(boxes_xyxy=box(100, 50, 200, 150), points_xy=spot, point_labels=np.array([[0]]))[0]
    assert without[75, 150]
    assert not corrected[75, 150]


def test_only_negative_points_find_nothing(segmenter: Segmenter) -> None:
    segmenter.set_image(scene()[0])
    assert not segmenter.predict(points_xy=np.array([[[9, 9]]], np.float32), point_labels=np.array([[0]])).any()


@pytest.mark.parametrize(
    "xyxy",
    [
        (0, 0, 300, 200),
        (10, 10, 11, 11),
        (10.4, 10.4, 10.6, 10.6),
        (-50, -50, 20, 20),
        (290, 190, 900, 900),
        (5, 5, 5, 5),
    ],
)
def test_a_mask_of_a_box_is_never_empty_and_stays_inside(segmenter: Segmenter, xyxy: tuple[float, ...]) -> None:
    segmenter.set_image(scene()[0])
    mask = segmenter.predict(boxes_xyxy=box(*xyxy))[0]
    rows, columns = np.nonzero(mask)
    assert len(rows) > 0
    assert columns.min() >= max(0, int(xyxy[0]))
    assert columns.max() < np.ceil(max(xyxy[2], xyxy[0] + 1))  # a box is at least a pixel wide


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (1, 400)])
def test_tiny_pictures_are_no_trouble(segmenter: Segmenter, size: tuple[int, int]) -> None:
    segmenter.set_image(np.zeros((*size, 3), np.uint8))
    assert segmenter.predict(boxes_xyxy=box(0, 0, size[1], size[0])).any()
    assert segmenter.predict(points_xy=np.zeros((1, 1, 2), np.float32)).shape == (1, *size)


def test_a_flat_picture_gives_a_mask_all_the_same(segmenter: Segmenter) -> None:
    segmenter.set_image(np.full((100, 100, 3), 127, np.uint8))
    assert segmenter.predict(boxes_xyxy=box(20, 20, 80, 80)).sum() > 1000


def test_the_same_prompt_gives_the_same_mask(segmenter: Segmenter) -> None:
    segmenter.set_image(scene()[0])
    boxes = np.array([[100, 50, 200, 150], [90, 40, 210, 160]], np.float32)
    both = segmenter.predict(boxes_xyxy=boxes)
    # A pixel on the edge may fall either way by rounding.
    assert (both[0] != segmenter.predict(boxes_xyxy=boxes[:1])[0]).mean() < 0.001
    assert (both[1] != segmenter.predict(boxes_xyxy=boxes[1:])[0]).mean() < 0.001


def test_a_large_picture_gets_a_mask_of_its_own_size(segmenter: Segmenter) -> None:
    image, disc = scene()
    segmenter.set_image(np.kron(image, np.ones((10, 10, 1), np.uint8)))
    mask = segmenter.predict(boxes_xyxy=box(1080, 580, 1930, 1430))[0]
    assert iou(mask, np.kron(disc, np.ones((10, 10), np.bool_))) > 0.9


def test_prompts_that_do_not_fit_are_refused(segmenter: Segmenter) -> None:
    with pytest.raises(EngineError, match="Call set_image first"):
        segmenter.predict(boxes_xyxy=box(0, 0, 9, 9))
    segmenter.set_image(scene()[0])
    spots = np.zeros((2, 1, 2), np.float32)
    with pytest.raises(EngineError, match="needs a box or a point"):
        segmenter.predict()
    with pytest.raises(EngineError, match="1 boxes came with points for 2 masks"):
        segmenter.predict(boxes_xyxy=box(0, 0, 9, 9), points_xy=spots)
    with pytest.raises(EngineError, match=r"need labels \(N, P\)"):
        segmenter.predict(points_xy=spots, point_labels=np.zeros((1, 1), np.int64))
    with pytest.raises(EngineError, match=r"on the object \(1\) or beside it \(0\)"):
        segmenter.predict(points_xy=spots, point_labels=np.full((2, 1), 7))
    with pytest.raises(EngineError, match=r"are not \(N, 4\)"):
        segmenter.predict(boxes_xyxy=np.zeros((1, 3), np.float32))


def test_no_boxes_give_no_masks(segmenter: Segmenter) -> None:
    segmenter.set_image(scene()[0])
    assert segmenter.predict(boxes_xyxy=np.zeros((0, 4), np.float32)).shape == (0, 200, 300)
