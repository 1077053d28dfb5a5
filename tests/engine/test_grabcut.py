import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from common.images import read_image
from engine.errors import EngineError
from engine.preprocessing import Picture
from engine.segmenters.base import Masks, Segmenter
from engine.segmenters.grabcut import GrabCut

COCO128 = Path(__file__).parents[2].parent / "shared" / "data" / "coco128"


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


@pytest.fixture
def segmenter() -> GrabCut:
    return GrabCut()


def test_it_is_a_segmenter(segmenter: GrabCut) -> None:
    door: Segmenter = segmenter
    assert door.name == "grabcut"


def test_a_box_finds_the_object_in_it(segmenter: GrabCut) -> None:
    image, disc = scene()
    segmenter.set_image(image)
    masks = segmenter.predict(boxes_xyxy=box(108, 58, 193, 143))
    assert masks.shape == (1, 200, 300)
    assert masks.dtype == np.bool_
    assert iou(masks[0], disc) > 0.95


def test_a_point_finds_the_object_under_it(segmenter: GrabCut) -> None:
    image, disc = scene()
    segmenter.set_image(image)
    mask = segmenter.predict(points_xy=np.array([[[150, 100]]], np.float32))[0]
    assert iou(mask, disc) > 0.9


def test_a_negative_point_takes_its_surroundings_away(segmenter: GrabCut) -> None:
    image, _ = scene()
    segmenter.set_image(image)
    spot = np.array([[[150, 75]]], np.float32)
    without = segmenter.predict(boxes_xyxy=box(100, 50, 200, 150))[0]
    corrected = segmenter.predict(boxes_xyxy=box(100, 50, 200, 150), points_xy=spot, point_labels=np.array([[0]]))[0]
    assert without[75, 150]
    assert not corrected[75, 150]


def test_only_negative_points_find_nothing(segmenter: GrabCut) -> None:
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
def test_a_mask_of_a_box_is_never_empty_and_stays_inside(segmenter: GrabCut, xyxy: tuple[float, ...]) -> None:
    segmenter.set_image(scene()[0])
    mask = segmenter.predict(boxes_xyxy=box(*xyxy))[0]
    rows, columns = np.nonzero(mask)
    assert len(rows) > 0
    assert columns.min() >= max(0, int(xyxy[0]))
    assert columns.max() < np.ceil(max(xyxy[2], xyxy[0] + 1))  # a box is at least a pixel wide


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (1, 400)])
def test_tiny_pictures_are_no_trouble(segmenter: GrabCut, size: tuple[int, int]) -> None:
    segmenter.set_image(np.zeros((*size, 3), np.uint8))
    assert segmenter.predict(boxes_xyxy=box(0, 0, size[1], size[0])).any()
    assert segmenter.predict(points_xy=np.zeros((1, 1, 2), np.float32)).shape == (1, *size)


def test_a_flat_picture_gives_a_mask_all_the_same(segmenter: GrabCut) -> None:
    segmenter.set_image(np.full((100, 100, 3), 127, np.uint8))
    assert segmenter.predict(boxes_xyxy=box(20, 20, 80, 80)).sum() > 1000


def test_the_same_prompt_gives_the_same_mask(segmenter: GrabCut) -> None:
    segmenter.set_image(scene()[0])
    boxes = np.array([[100, 50, 200, 150], [90, 40, 210, 160]], np.float32)
    both = segmenter.predict(boxes_xyxy=boxes)
    np.testing.assert_array_equal(both[0], segmenter.predict(boxes_xyxy=boxes[:1])[0])
    np.testing.assert_array_equal(both[1], segmenter.predict(boxes_xyxy=boxes[1:])[0])


def test_a_large_picture_costs_no_more_than_a_small_one(segmenter: GrabCut) -> None:
    image, disc = scene()
    segmenter.set_image(np.kron(image, np.ones((10, 10, 1), np.uint8)))
    began = time.perf_counter()
    mask = segmenter.predict(boxes_xyxy=box(1080, 580, 1930, 1430))[0]
    assert time.perf_counter() - began < 2
    assert iou(mask, np.kron(disc, np.ones((10, 10), np.bool_))) > 0.9


def test_prompts_that_do_not_fit_are_refused(segmenter: GrabCut) -> None:
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


def test_no_boxes_give_no_masks(segmenter: GrabCut) -> None:
    segmenter.set_image(scene()[0])
    assert segmenter.predict(boxes_xyxy=np.zeros((0, 4), np.float32)).shape == (0, 200, 300)


@pytest.mark.skipif(not COCO128.is_dir(), reason=f"coco128 is not at {COCO128}")
def test_masks_on_real_photos_are_better_than_their_boxes() -> None:
    """On every sixth photo; with `-s` the numbers of docs/benchmarks.md are printed."""
    segmenter = GrabCut()
    of_masks, of_boxes = [], []
    for labels in sorted((COCO128 / "instance_segmentation" / "labels" / "val2017").glob("*.txt"))[::6]:
        image = read_image(COCO128 / "images" / "val2017" / f"{labels.stem}.jpg")
        segmenter.set_image(image)
        for line in labels.read_text().splitlines():
            truth, xyxy = polygon(line, *image.shape[:2])
            if truth.sum() >= 100:
                of_masks.append(iou(segmenter.predict(boxes_xyxy=xyxy)[0], truth))
                x1, y1, x2, y2 = (round(float(value)) for value in xyxy[0])
                square = np.zeros_like(truth)
                square[y1:y2, x1:x2] = True
                of_boxes.append(iou(square, truth))
    print(f"{len(of_masks)} objects: masks {np.mean(of_masks):.3f}, boxes {np.mean(of_boxes):.3f}")
    assert np.mean(of_masks) > 0.60
    assert np.mean(of_masks) > np.mean(of_boxes) + 0.02


def polygon(line: str, height: int, width: int) -> tuple[Masks, np.ndarray]:
    """A line of a YOLO polygon file as its mask (H, W) and its box (1, 4)."""
    corners = np.array(line.split()[1:], float).reshape(-1, 2) * [width, height]
    canvas = Image.new("1", (width, height))
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in corners], fill=1)
    return np.asarray(canvas, dtype=np.bool_), box(*corners.min(axis=0), *corners.max(axis=0))
