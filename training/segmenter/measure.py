"""Measures segmenters side by side: `python -m training.segmenter.measure [SEGMENTER ...]`."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from common.arguments import natural, positive
from common.boxes import Boxes
from common.images import read_image
from engine.segmenters.base import Masks, Segmenter
from engine.segmenters.loading import load_segmenter
from training.worlds import Scene, numbered_scene

HELD_OUT_SEED = 7  # training draws its pictures from rows of other numbers
SMALLEST_PX = 100  # of a photo's object that is measured
_PHOTOS = Path("images") / "val2017"
_OUTLINES = Path("instance_segmentation") / "labels" / "val2017"


@dataclass(frozen=True)
class Labelled:
    """A picture with the true masks of things and the boxes they are asked for by.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) float32 pixels.
        masks: (N, H, W) bool.
    """

    image: NDArray[np.uint8]
    boxes_xyxy: Boxes
    masks: Masks


@dataclass(frozen=True)
class Measurement:
    """What a segmenter does with boxes and with single clicks.

    Attributes:
        iou: mean over all things of the intersection over union of the mask found from the box and the true one.
        click_iou: the same from one click, on the thing's innermost pixel; None where no clicks were made.
        objects: how many things that is.
        ms_per_image: to look at a picture.
        ms_per_prompt: for one box about it.
    """

    iou: float
    click_iou: float | None
    objects: int
    ms_per_image: float
    ms_per_prompt: float


def mask_iou(segmenter: Segmenter, seed: int, count: int) -> float:
    """Mean IoU from boxes, over all things of scenes number 0 to `count` of `seed`.

    Raises:
        FontMissing: scenes cannot be drawn.
    """
    return measure(segmenter, scenes(seed, count)).iou


def measure(segmenter: Segmenter, pictures: Iterator[Labelled], *, clicks: bool = False) -> Measurement:
    """Ask a segmenter for everything in some pictures."""
    ious: list[float] = []
    clicked: list[float] = []
    looking, asking = [], []
    for picture in pictures:
        started = time.perf_counter()
        segmenter.set_image(picture.image)
        looking.append(time.perf_counter() - started)
        for box, truth in zip(picture.boxes_xyxy, picture.masks, strict=True):
            started = time.perf_counter()
            (found,) = segmenter.predict(boxes_xyxy=box[None])
            asking.append(time.perf_counter() - started)
            ious.append(_iou(found, truth))
            if clicks:
                clicked.append(_iou(segmenter.predict(points_xy=_innermost(truth)[None, None])[0], truth))
    if not ious:
        return Measurement(0.0, None, 0, 0.0, 0.0)
    times = [1000 * float(np.median(values)) for values in (looking, asking)]
    return Measurement(float(np.mean(ious)), float(np.mean(clicked)) if clicked else None, len(ious), *times)


def scenes(seed: int, count: int) -> Iterator[Labelled]:
    """Scenes number 0 to `count` of `seed`; each thing's box is that of what is seen of it.

    Raises:
        FontMissing: scenes cannot be drawn.
    """
    for index in range(count):
        scene: Scene = numbered_scene(seed, index)
        yield _labelled(scene.image, scene.masks())


def photos(folder: Path, every: int = 1) -> Iterator[Labelled]:
    """The photos of a folder laid out as COCO128, with the outlines people drew as polygons (YOLO).

    Args:
        every: only each so many-th.

    Raises:
        FileNotFoundError: there are no outlines.
    """
    outlines = sorted((folder / _OUTLINES).glob("*.txt"))
    if not outlines:
        raise FileNotFoundError(f"No outlines at {str(folder / _OUTLINES)!r}. Name the folder of COCO128.")
    for labels in outlines[::every]:
        image = read_image(folder / _PHOTOS / f"{labels.stem}.jpg")
        lines = labels.read_text(encoding="utf-8").splitlines()
        masks = [_filled(line, image.shape[0], image.shape[1]) for line in lines if line.strip()]
        large = [mask for mask in masks if mask.sum() >= SMALLEST_PX]
        yield _labelled(image, np.array(large, np.bool_).reshape(-1, *image.shape[:2]))


def _iou(found: Masks, truth: Masks) -> float:
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def _innermost(mask: Masks) -> NDArray[np.float32]:
    """(2,) x and y of the pixel of a mask (H, W) that lies farthest from its edge."""
    padded = np.pad(mask, 1).astype(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    row, column = np.unravel_index(distance.argmax(), distance.shape)
    return np.array([column + 0.5, row + 0.5], np.float32)


def _labelled(image: NDArray[np.uint8], masks: Masks) -> Labelled:
    seen = masks[masks.any((1, 2))]
    boxes = [cv2.boundingRect(mask.astype(np.uint8)) for mask in seen]
    xyxy = np.array([(x, y, x + width, y + height) for x, y, width, height in boxes], np.float32).reshape(-1, 4)
    return Labelled(image, xyxy, seen)


def _filled(line: str, height: int, width: int) -> NDArray[np.bool_]:
    """A line of a YOLO polygon file, its corners in parts of the sides, as a mask (H, W)."""
    corners = np.array(line.split()[1:], np.float64).reshape(-1, 2) * [width, height]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round((corners - 0.5) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask.astype(np.bool_)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each segmenter; 0 when done, 1 after a line on stderr that says what stands in the way."""
    parser = argparse.ArgumentParser(prog="python -m training.segmenter.measure", description=__doc__)
    parser.add_argument("segmenters", nargs="*", default=["grabcut", "starter"], help="names, .pth files or folders")
    parser.add_argument("--scenes", type=natural, default=96, help="held-out scenes")
    parser.add_argument("--seed", type=natural, default=HELD_OUT_SEED)
    parser.add_argument("--photos", type=Path, help="folder of COCO128, measured as well")
    parser.add_argument("--every", type=positive, default=1, help="only each so many-th photo")
    parser.add_argument("--clicks", action="store_true", help="also one click on each thing, without a box")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        results = {name: _measured(name, options) for name in options.segmenters}
    except Exception as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({name: {on: asdict(of) for on, of in found.items()} for name, found in results.items()}))
        return 0
    for name, found in results.items():
        for on, of in found.items():
            times = f"{of.ms_per_image:.1f} ms an image, {of.ms_per_prompt:.1f} ms a prompt"
            clicks = "" if of.click_iou is None else f", {of.click_iou:.3f} from a click"
            print(f"{name} on {on}: mean IoU {of.iou:.3f} from a box{clicks}, {of.objects} things, {times}")
    return 0


def _measured(name: str, options: argparse.Namespace) -> dict[str, Measurement]:
    segmenter = load_segmenter(name, device="cpu")
    found = {"scenes": measure(segmenter, scenes(options.seed, options.scenes), clicks=options.clicks)}
    if options.photos:
        found["photos"] = measure(segmenter, photos(options.photos, options.every), clicks=options.clicks)
    return found


if __name__ == "__main__":
    sys.exit(main())
