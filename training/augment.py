"""Random changes of an image that keep its boxes right.

Geometry is torchvision's, on Pillow images and on boxes that know what they are; all draws come from the generator of
the caller, none from torch's own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import BoundingBoxes, BoundingBoxFormat

from common.boxes import Boxes, area, clip
from common.images import ImageRGB
from engine.preprocessing import Preprocessing

_BEFORE_CROP = (400, 500, 600)  # short side in pixels at which the paper cuts a part out
_CROP_RANGE = (384, 600)  # sides of that part
_LEAST_VISIBLE = 0.4  # share of a box that a crop must keep for the box to stay a target
_STILL_SEEN = 0.1  # share of a box from which on an eye still sees the object
_LEAST_SIDE_PX = 1.0  # of the image as it is stored; smaller boxes are no targets
_CROP_TRIES = 8
_HUE = 0.1  # largest turn of the hues, as a share of `color` and in turns: 7 degrees where color is 0.2

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@dataclass(frozen=True)
class Example:
    """An image with its boxes.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) pixels of that image.
        classes: (N,) what each box shows.
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
    """How much an image is changed: MM-Grounding-DINO's pipeline (arXiv:2401.02361), with changes of colour.

    Attributes:
        flip: probability of a mirrored image.
        crop: probability of a random part; otherwise the whole image is resized.
        color: largest relative change of brightness, contrast and saturation.
    """

    flip: float = 0.0
    crop: float = 0.0
    color: float = 0.0

    def __call__(
        self,
        example: Example,
        rng: np.random.Generator,
        scale: Preprocessing,
        *,
        flips: bool = True,
        crops: bool = True,
    ) -> tuple[Example, bool]:
        """The example at the size of `scale`, changed by draws from `rng`, and whether it was mirrored.

        `flips` and `crops` say whether that may happen. The boxes come out in the order they went in.
        """
        example = without_slivers(example)
        crop, flip = rng.random(2)
        changes = rng.uniform(-1, 1, 4) * self.color
        large = example.size_hw[0] * example.size_hw[1] > np.prod(scale.resized_hw(*example.size_hw))
        if self.color and not large:  # colour is dear a pixel: it goes where the image is smallest
            example = recolored(example, *changes)
        if crops and crop < self.crop:
            example = randomly_cropped(example, rng)
        example = resized(example, scale.resized_hw(*example.size_hw))
        is_mirrored = bool(flips and flip < self.flip)
        if is_mirrored:
            example = mirrored(example)
        if self.color and large:
            example = recolored(example, *changes)
        return example, is_mirrored


def resized(example: Example, size_hw: tuple[int, int]) -> Example:
    """At another size, by the filter that detection uses: the same bytes."""
    if size_hw == example.size_hw:
        return example
    image = F.resize(Image.fromarray(example.image), list(size_hw), InterpolationMode.BILINEAR)
    return Example(np.asarray(image), _plain(F.resize(_boxes(example), list(size_hw))), example.classes)


def mirrored(example: Example) -> Example:
    """Left and right swapped."""
    image = F.horizontal_flip(Image.fromarray(example.image))
    return Example(np.asarray(image), _plain(F.horizontal_flip(_boxes(example))), example.classes)


def cropped(example: Example, left: int, top: int, right: int, bottom: int) -> Example:
    """The part between these pixels; a box of which less than 40 % is left is no target any more."""
    part = (top, left, bottom - top, right - left)
    boxes = _plain(F.crop(_boxes(example), *part))
    whole = area(example.boxes_xyxy)
    keep = area(boxes) >= _LEAST_VISIBLE * np.maximum(whole, np.finfo(np.float32).tiny)
    image = np.asarray(F.crop(Image.fromarray(example.image), *part))
    return Example(image, boxes[keep], example.classes[keep])


def randomly_cropped(example: Example, rng: np.random.Generator) -> Example:
    """A random part that keeps a box, or the example itself.

    The parts are those the paper cuts out of a shrunk image; cut out of the image itself, they keep their detail. A
    part in which a box is cut so far that it is dropped would teach that what is left of the object is background;
    such parts are drawn again.
    """
    height, width = example.size_hw
    unit = min(height, width) / _BEFORE_CROP[int(rng.integers(len(_BEFORE_CROP)))]
    least, most = (share * unit for share in _CROP_RANGE)
    for _ in range(_CROP_TRIES):
        share_h, share_w, offset_y, offset_x = rng.random(4)
        part_h, part_w = (
            max(1, round(min(least, side) + share * (min(most, side) - min(least, side))))
            for share, side in ((share_h, height), (share_w, width))
        )
        top, left = int(offset_y * (height - part_h + 1)), int(offset_x * (width - part_w + 1))
        part = (left, top, left + part_w, top + part_h)
        if _keeps_what_it_shows(example.boxes_xyxy, part):
            return cropped(example, *part)
    return example


def recolored(example: Example, brightness: float, contrast: float, saturation: float, hue: float) -> Example:
    """Colours changed by so much, 0 leaves them: one linear map of R, G and B, so one pass over the pixels.

    Args:
        example: not changed.
        brightness: relative, of all values.
        contrast: relative, of the distance from the mean.
        saturation: relative, of the distance from grey.
        hue: turns the colour wheel by a tenth of so many turns.
    """
    angle = 2 * np.pi * _HUE * hue
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    turn[1:] *= 1 + saturation
    colours = np.linalg.inv(_TO_YIQ) @ turn @ _TO_YIQ  # (3, 3)
    step = max(1, min(example.size_hw) // 64)
    mean = float(example.image[::step, ::step].mean())
    matrix = np.column_stack([colours * (1 + contrast), np.full(3, -contrast * mean)]) * (1 + brightness)
    image = Image.fromarray(example.image).convert("RGB", tuple(matrix.ravel().tolist()))
    return Example(np.asarray(image), example.boxes_xyxy, example.classes)


def without_slivers(example: Example) -> Example:
    """Without boxes under a pixel a side, cut at the image's edges."""
    boxes, keep = F.sanitize_bounding_boxes(F.clamp_bounding_boxes(_boxes(example)), min_size=_LEAST_SIDE_PX)
    return Example(example.image, _plain(boxes), example.classes[keep.numpy()])


def _keeps_what_it_shows(boxes_xyxy: Boxes, part: tuple[int, int, int, int]) -> bool:
    """Whether every box an eye would still see in a part stays a target, and at least one does if there are any."""
    left, top, right, bottom = part
    inside = area(clip(boxes_xyxy - np.array([left, top, left, top], np.float32), right - left, bottom - top))
    whole = area(boxes_xyxy)
    stays = (inside >= _LEAST_VISIBLE * whole) & (inside > 0)
    seen = inside > _STILL_SEEN * whole
    return bool((stays >= seen).all() and (stays.any() or not len(boxes_xyxy)))


def _boxes(example: Example) -> BoundingBoxes:
    boxes = torch.from_numpy(np.array(example.boxes_xyxy, np.float32))
    return BoundingBoxes(boxes, format=BoundingBoxFormat.XYXY, canvas_size=example.size_hw)


def _plain(boxes: BoundingBoxes) -> Boxes:
    array: Boxes = boxes.as_subclass(torch.Tensor).numpy()
    return array
