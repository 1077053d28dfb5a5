"""What nameless figures are made of: textures that a batch shares, each time in other colours."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.textures import Rng, palette, texture

Image = NDArray[np.uint8]

_FULL_TURN = 4  # quarters


@dataclass(frozen=True)
class Materials:
    """Grey textures to cut swatches from: drawing one costs much more than colouring a piece of it.

    Attributes:
        greys: each (S, S) uint8, from 0 to 255.
    """

    greys: tuple[Image, ...]

    @classmethod
    def drawn(cls, rng: Rng, count: int = 10, side: int = 320) -> "Materials":
        """So many textures of so many pixels a side."""
        return cls(tuple(_grey(rng, side) for _ in range(count)))

    def swatch(self, rng: Rng, size_hw: tuple[int, int]) -> Image:
        """(H, W, 3) uint8 of one material, in colours of its own."""
        grey = self.greys[rng.integers(len(self.greys))]
        side = grey.shape[0]
        zoom = rng.uniform(0.6, 2.5)
        height, width = (min(max(round(length * zoom), 2), side) for length in size_hw)
        top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
        piece = np.rot90(grey[top : top + height, left : left + width], 2 * int(rng.integers(_FULL_TURN // 2)))
        piece = cv2.resize(np.ascontiguousarray(piece), size_hw[::-1], interpolation=cv2.INTER_AREA)
        colours: Image = cv2.applyColorMap(piece, palette(rng))
        return colours


def _grey(rng: Rng, side: int) -> Image:
    grey = cv2.cvtColor(texture(rng, (side, side), figures=True), cv2.COLOR_RGB2GRAY)
    grey = cv2.normalize(grey, None, 0, 255, cv2.NORM_MINMAX)
    if rng.random() < 0.35:  # large areas of nearly one tone, as most things have
        grey = cv2.convertScaleAbs(cv2.GaussianBlur(grey, (0, 0), rng.uniform(3, 12)))
    result: Image = grey
    return result
