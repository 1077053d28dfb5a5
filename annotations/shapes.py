"""Boxes and masks of one image: cut to the picture, checked, moved together."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from common.masks import Rle, checked_rle, decode_mask, encode_mask

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the upright image; right and bottom exclusive."""

COORDINATE_DECIMALS = 3
"""Coordinates are kept to a thousandth of a pixel, so that corners and widths convert back and forth exactly."""

MIN_SIDE_PX = 1.0
"""A smaller box is a slip of the hand."""

_SAME_SIZE_PX = 0.01  # a box that was only moved keeps its sides to within this


def four_numbers(value: object) -> Box:
    """The value as a box, once it is known to be four finite numbers.

    Raises:
        ValueError: anything else.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 4:
        raise ValueError(f"A box is [x1, y1, x2, y2], not {str(value)[:60]}.")
    if not all(is_number(number) for number in value):
        raise ValueError(f"A box holds four finite numbers, not {str(value)[:60]}.")
    x1, y1, x2, y2 = (float(number) for number in value)
    return x1, y1, x2, y2


def is_number(value: object) -> bool:
    """Whether a value read from JSON is a finite number (true and false are not)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e15 and not math.isnan(value)


def clipped_box(box: Box, width: int, height: int) -> Box | None:
    """The part of the box on an image of `width` x `height` pixels, rounded; None when under 1 px a side is left."""
    x1, x2 = (round(min(max(x, 0.0), float(width)), COORDINATE_DECIMALS) for x in (box[0], box[2]))
    y1, y2 = (round(min(max(y, 0.0), float(height)), COORDINATE_DECIMALS) for y in (box[1], box[3]))
    if x2 - x1 < MIN_SIDE_PX or y2 - y1 < MIN_SIDE_PX:
        return None
    return x1, y1, x2, y2


def checked_mask(value: object, width: int | None = None, height: int | None = None) -> Rle:
    """The value as COCO RLE with at least one pixel set, of the image's size when that is given.

    Raises:
        ValueError: one line saying what is wrong.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"A mask is {{'size': [height, width], 'counts': text}}, not {str(value)[:60]}.")
    rle = checked_rle(cast(Rle, value))
    if width is not None and height is not None and rle["size"] != [height, width]:
        raise ValueError(f"The mask's size {rle['size']} is not the image's [{height}, {width}] (height, width).")
    return rle


def is_translation(old: Box, new: Box) -> bool:
    """Whether the new box is the old one moved, its sides unchanged."""
    same_width = abs((new[2] - new[0]) - (old[2] - old[0])) <= _SAME_SIZE_PX
    return same_width and abs((new[3] - new[1]) - (old[3] - old[1])) <= _SAME_SIZE_PX


def moved_mask(rle: Rle, dx_px: float, dy_px: float) -> Rle | None:
    """The mask moved by whole pixels; what leaves the image is cut off, and None says that nothing is left."""
    mask = decode_mask(rle)
    height, width = mask.shape
    dx, dy = round(dx_px), round(dy_px)
    if abs(dx) >= width or abs(dy) >= height:
        return None
    moved = np.zeros_like(mask)
    moved[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = mask[
        max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
    ]
    return encode_mask(moved) if moved.any() else None
