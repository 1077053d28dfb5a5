"""Masks of the photos that people outlined."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from common.images import read_image
from engine.segmenters.base import Masks
from engine.segmenters.grabcut import GrabCut

COCO128 = Path(__file__).parents[2].parent / "shared" / "data" / "coco128"


def iou(one: Masks, other: Masks) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


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
    return np.asarray(canvas, dtype=np.bool_), np.array([[*corners.min(axis=0), *corners.max(axis=0)]], np.float32)
