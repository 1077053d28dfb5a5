"""A part of a picture, no larger than need be, and the way back."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes
from engine.preprocessing import Picture
from engine.segmenters.base import Masks


@dataclass(frozen=True)
class Window:
    """A part of a picture, shrunk where it is large.

    Attributes:
        pixels: (h, w, 3) RGB.
        left, top, right, bottom: the part that it shows, in pixels of the picture.
    """

    pixels: Picture
    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, image: Picture, box: Boxes, margin_xy: tuple[float, float], longest: int) -> Self:
        """What lies within a margin around a box, as far as the picture reaches.

        Args:
            image: (H, W, 3).
            box: (4,) xyxy pixels.
            margin_xy: pixels.
            longest: pixels that the longer side is shrunk to.
        """
        height, width = image.shape[:2]
        x1, y1, x2, y2 = (float(value) for value in box)
        left, top = int(max(0, x1 - margin_xy[0])), int(max(0, y1 - margin_xy[1]))
        right, bottom = int(min(width, np.ceil(x2 + margin_xy[0]))), int(min(height, np.ceil(y2 + margin_xy[1])))
        crop = image[top:bottom, left:right]
        shrink = min(1.0, longest / max(crop.shape[:2]))
        size = (max(1, round(crop.shape[1] * shrink)), max(1, round(crop.shape[0] * shrink)))
        pixels: Picture = np.ascontiguousarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        return cls(pixels, left, top, right, bottom)

    def place(self, xy: NDArray[np.float32]) -> NDArray[np.float64]:
        """Points (P, 2) of the picture in the window's pixels."""
        scale = [self.pixels.shape[1] / (self.right - self.left), self.pixels.shape[0] / (self.bottom - self.top)]
        placed: NDArray[np.float64] = (xy.astype(np.float64) - [self.left, self.top]) * scale
        return placed

    def place_box(self, box: Boxes) -> NDArray[np.float64]:
        """A box (4,) of the picture in the window's pixels."""
        return self.place(box.reshape(2, 2)).reshape(4)

    def paste(self, mask: Masks, out: Masks) -> None:
        """Write a mask (h, w) of the window into one of the picture, (H, W), at its size."""
        size = (self.right - self.left, self.bottom - self.top)
        full = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        out[self.top : self.bottom, self.left : self.right] = full > 0.5
