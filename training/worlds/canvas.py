"""A picture in the making, which knows whose each pixel is."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.poses import Posed, solid_box
from training.worlds.textures import Rng

Image = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels."""

_LEFT_TO_SEE = 0.4  # of a thing's pixels in the picture, whatever comes to stand before it


@dataclass(frozen=True)
class Shadow:
    """What all things of a scene cast to the same side."""

    shift_xy: tuple[int, int]
    blur_px: int  # side of the square that is averaged, odd
    strength: float


def some_shadow(rng: Rng, short_side: int) -> Shadow:
    """A soft shadow, downwards, for a picture whose shorter side has so many pixels."""
    far = 0.03 * short_side
    shift = (round(rng.uniform(-far, far)), round(rng.uniform(0, far)))
    return Shadow(shift, 2 * max(round(rng.uniform(0.005, 0.02) * short_side), 1) + 1, rng.uniform(0.25, 0.6))


class Canvas:
    """Takes one thing after the other, each before those that are there.

    Attributes:
        image: (H, W, 3) uint8, painted over.
        owner: (H, W) uint8, 0 for background, i + 1 where thing i is seen.
        boxes: of each thing, the extent inside the picture, as if nothing covered it.
    """

    def __init__(self, image: Image, shadow: Shadow | None = None) -> None:
        self.image = image
        self.owner = np.zeros(image.shape[:2], np.uint8)
        self.boxes: list[Box] = []
        self._shadow = shadow
        self._whole = np.zeros(256, np.int64)  # pixels of each owner before others covered it
        self._seen = np.zeros(256, np.int64)

    def put(self, thing: Posed, corner: tuple[int, int]) -> bool:
        """Put a thing with its solid box's left upper corner at `corner`; False leaves it out.

        It is left out where it would lie outside or leave too little of another thing to see.
        """
        x, y = corner[0] - thing.solid_xyxy[0], corner[1] - thing.solid_xyxy[1]
        left, top, right, bottom = self._inside(x, y, thing.picture)
        part = thing.picture[top - y : bottom - y, left - x : right - x]
        alpha = cv2.extractChannel(part, 3)
        x1, y1, x2, y2 = solid_box(alpha)
        number, solid = len(self.boxes) + 1, alpha > 127
        if x1 == x2 or number > 255 or not self._may_cover(self.owner[top:bottom, left:right][solid], number):
            return False
        if self._shadow is not None:
            self._darken(cv2.extractChannel(thing.picture, 3), x, y, self._shadow)
        _blend(self.image[top:bottom, left:right], part, alpha)
        self.owner[top:bottom, left:right][solid] = number
        self.boxes.append((left + x1, top + y1, left + x2, top + y2))
        return True

    def _inside(self, x: int, y: int, picture: Image) -> Box:
        height, width = self.image.shape[:2]
        return max(x, 0), max(y, 0), min(x + picture.shape[1], width), min(y + picture.shape[0], height)

    def _may_cover(self, owners: NDArray[np.uint8], number: int) -> bool:
        """Whether thing `number` may cover the pixels that belong to `owners`; if so, it has done so."""
        seen = self._seen - np.bincount(owners, minlength=256)
        if (seen < _LEFT_TO_SEE * self._whole)[1:].any():
            return False
        self._seen = seen
        self._seen[number] = self._whole[number] = len(owners)
        return True

    def _darken(self, alpha: Image, x: int, y: int, shadow: Shadow) -> None:
        reach = shadow.blur_px
        wide = cv2.copyMakeBorder(alpha, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
        soft = cv2.blur(cv2.blur(wide, (reach, reach)), (reach, reach))
        x, y = x - reach + shadow.shift_xy[0], y - reach + shadow.shift_xy[1]
        left, top, right, bottom = self._inside(x, y, soft)
        if right <= left or bottom <= top:
            return
        dark = soft[top - y : bottom - y, left - x : right - x]
        light = cv2.convertScaleAbs(dark, alpha=-shadow.strength, beta=255)
        behind = self.image[top:bottom, left:right]
        behind[...] = cv2.multiply(behind, cv2.cvtColor(light, cv2.COLOR_GRAY2RGB), scale=1 / 255)


def _blend(behind: Image, picture: Image, alpha: Image) -> None:
    through = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2RGB)
    behind[...] = cv2.add(cv2.multiply(behind, through, scale=1 / 255), cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB))
