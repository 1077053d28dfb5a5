"""Random changes of an image that keep its boxes right."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes, area, clip
from common.images import ImageRGB

_LEAST_SIDE = 0.5  # of a crop, as a share of the image's side
_LEAST_VISIBLE = 0.4  # share of a box that a crop must keep for the box to stay a target
_LEAST_SIDE_PX = 1.0  # smaller boxes are no targets
_CROP_TRIES = 8


@dataclass(frozen=True)
class Example:
    """An image with its boxes.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) pixels of that image.
        classes: (N,) index of each box's category.
    """

    image: ImageRGB
    boxes_xyxy: Boxes
    classes: NDArray[np.int64]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True)
class Augmentation:
    """How much an image is changed.

    Attributes:
        flip: probability of a mirrored image.
        crop: probability of a random part.
        color: largest relative change of brightness and of contrast.
    """

    flip: float = 0.0
    crop: float = 0.0
    color: float = 0.0

    def __call__(
        self, example: Example, rng: np.random.Generator, *, flips: bool = True, crops: bool = True
    ) -> tuple[Example, bool]:
        """The example changed by draws from `rng`, and whether it was mirrored; `flips` and `crops` allow it."""
        crop, flip = rng.random(2)
        if crops and crop < self.crop:
            example = randomly_cropped(example, rng)
        is_mirrored = bool(flips and flip < self.flip)
        if is_mirrored:
            example = mirrored(example)
        if self.color:
            example = recolored(example, *rng.uniform(1 - self.color, 1 + self.color, 2))
        return without_slivers(example), is_mirrored


def mirrored(example: Example) -> Example:
    """Left and right swapped."""
    width = example.size_hw[1]
    x1, y1, x2, y2 = example.boxes_xyxy.T
    boxes = np.stack([width - x2, y1, width - x1, y2], axis=1)
    return Example(np.ascontiguousarray(example.image[:, ::-1]), boxes, example.classes)


def cropped(example: Example, left: int, top: int, right: int, bottom: int) -> Example:
    """The part between these pixels; a box of which less than 40 % is left is no target any more."""
    shifted = example.boxes_xyxy - np.array([left, top, left, top], np.float32)
    boxes = clip(shifted, right - left, bottom - top)
    whole = area(example.boxes_xyxy)
    keep = area(boxes) >= _LEAST_VISIBLE * np.maximum(whole, np.finfo(np.float32).tiny)
    image = np.ascontiguousarray(example.image[top:bottom, left:right])
    return Example(image, boxes[keep], example.classes[keep])


def randomly_cropped(example: Example, rng: np.random.Generator) -> Example:
    """A random part of at least half of each side that keeps a box, or the example itself.

    A part in which a box is cut so far that it is dropped would teach that what is left of the object is background;
    such parts are drawn again.
    """
    height, width = example.size_hw
    for _ in range(_CROP_TRIES):
        share_h, share_w, offset_y, offset_x = rng.random(4)
        part_h = max(1, round(height * (_LEAST_SIDE + (1 - _LEAST_SIDE) * share_h)))
        part_w = max(1, round(width * (_LEAST_SIDE + (1 - _LEAST_SIDE) * share_w)))
        top, left = int(offset_y * (height - part_h)), int(offset_x * (width - part_w))
        part = (left, top, left + part_w, top + part_h)
        found = cropped(example, *part)
        if len(found.boxes_xyxy) == _touched(example.boxes_xyxy, part) and (
            len(found.boxes_xyxy) or not len(example.boxes_xyxy)
        ):
            return found
    return example


def recolored(example: Example, brightness: float, contrast: float) -> Example:
    """Values scaled around their mean by `contrast` and then by `brightness`."""
    levels = np.arange(256, dtype=np.float32)
    mean = float(example.image.mean())
    table = np.clip(((levels - mean) * contrast + mean) * brightness, 0, 255).round().astype(np.uint8)
    return Example(table[example.image], example.boxes_xyxy, example.classes)


def without_slivers(example: Example) -> Example:
    """Without boxes under a pixel a side, cut at the image's edges."""
    height, width = example.size_hw
    boxes = clip(example.boxes_xyxy, width, height)
    keep = ((boxes[:, 2:] - boxes[:, :2]) >= _LEAST_SIDE_PX).all(axis=1)
    return Example(example.image, boxes[keep], example.classes[keep])


def _touched(boxes_xyxy: Boxes, part: tuple[int, int, int, int]) -> int:
    """How many boxes have more than a tenth of their area in a part: those an eye still sees."""
    left, top, right, bottom = part
    inside = clip(boxes_xyxy - np.array([left, top, left, top], np.float32), right - left, bottom - top)
    return int((area(inside) > 0.1 * area(boxes_xyxy)).sum())
