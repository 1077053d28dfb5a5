"""Pictures of nameless figures in front of each other, with the owner of each pixel."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.segmenter.figures import figure
from training.segmenter.materials import Materials
from training.worlds.backgrounds import background
from training.worlds.photo import photographed
from training.worlds.rules import SceneRules
from training.worlds.sprites import Picture
from training.worlds.textures import Rng

_RULES = SceneRules(clutter_share=0.3, backdrop_share=0.3, light_share=0.5, blur_share=0.3, jpeg_share=0.3)
_FEWEST, _MOST = 3, 15
_SMALLEST, _LARGEST = 0.03, 0.95  # of the picture's longer side
_SMALLEST_PX = 5


@dataclass(frozen=True)
class OwnedPicture:
    """A picture and whose each pixel is.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        owner: (H, W) uint8, 0 for background, i + 1 where thing i is seen.
    """

    image: NDArray[np.uint8]
    owner: NDArray[np.uint8]


def nameless_picture(rng: Rng, size_hw: tuple[int, int], materials: Materials) -> OwnedPicture:
    """Figures large and small, the large ones mostly behind, some much like what is behind them, some in flocks.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    canvas = background(rng, size_hw, _RULES)
    owner = np.zeros(size_hw, np.uint8)
    count = int(rng.integers(_FEWEST, _MOST + 1))
    sides = np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST), count)) * max(size_hw)
    if rng.random() < 0.75:
        sides = np.sort(sides)[::-1]
    pictures: list[Picture] = []
    for number, side in enumerate(sides.tolist(), start=1):
        if pictures and rng.random() < 0.2:
            picture = _another(rng, pictures[rng.integers(len(pictures))])
        else:
            picture = figure(rng, _stretched(rng, side), materials)
        pictures.append(picture)
        _put(rng, canvas, owner, picture, number)
    if rng.random() < 0.5:
        canvas = _paler(rng, canvas)
    return OwnedPicture(photographed(rng, canvas, _RULES), owner)


def _paler(rng: Rng, canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """With weaker colours, as in most photos; grey now and then."""
    grey = cv2.cvtColor(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    share = rng.uniform(0.2, 1)
    paler: NDArray[np.uint8] = cv2.addWeighted(grey, share, canvas, 1 - share, 0)
    return paler


def _stretched(rng: Rng, side: float) -> tuple[int, int]:
    narrow = side * rng.uniform(0.3, 1)
    height, width = (side, narrow) if rng.random() < 0.5 else (narrow, side)
    return max(round(height), _SMALLEST_PX), max(round(width), _SMALLEST_PX)


def _another(rng: Rng, picture: Picture) -> Picture:
    """One more of the same, a little larger or smaller, perhaps facing the other way."""
    scale = rng.uniform(0.75, 1.2)
    height, width = (max(round(side * scale), _SMALLEST_PX) for side in picture.shape[:2])
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.ascontiguousarray(resized[:, ::-1]) if rng.random() < 0.5 else resized


def _put(rng: Rng, canvas: NDArray[np.uint8], owner: NDArray[np.uint8], picture: Picture, number: int) -> None:
    """Somewhere with its middle inside; now and then in nearly the colour of the place, or with a shadow."""
    height, width = picture.shape[:2]
    x, y = int(rng.integers(owner.shape[1])) - width // 2, int(rng.integers(owner.shape[0])) - height // 2
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + width, owner.shape[1]), min(y + height, owner.shape[0])
    part = picture[top - y : bottom - y, left - x : right - x]
    behind = canvas[top:bottom, left:right]
    alpha = cv2.extractChannel(np.ascontiguousarray(part), 3)
    if rng.random() < 0.2:
        part = _camouflaged(rng, part, alpha, behind)
    if rng.random() < 0.3:
        _cast_shadow(rng, canvas, alpha, left, top)
    through = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2RGB)
    behind[...] = cv2.add(cv2.multiply(behind, through, scale=1 / 255), np.ascontiguousarray(part[..., :3]))
    owner[top:bottom, left:right][alpha > 127] = number


def _camouflaged(rng: Rng, part: Picture, alpha: NDArray[np.uint8], behind: NDArray[np.uint8]) -> Picture:
    """The picture with its mean colour near that of what it will cover."""
    solid = alpha > 127
    if not solid.any():
        return part
    shift = behind[solid].mean(0) - part[solid][:, :3].mean(0) + rng.normal(0, 14, 3)
    moved = part[..., :3] + shift * (alpha[..., None] / 255)
    changed = np.concatenate([np.clip(moved, 0, alpha[..., None]), alpha[..., None]], 2)
    result: Picture = changed.astype(np.uint8)
    return result


def _cast_shadow(rng: Rng, canvas: NDArray[np.uint8], alpha: NDArray[np.uint8], left: int, top: int) -> None:
    shift = rng.integers(0, max(alpha.shape[0] // 6, 2), 2)
    y, x = top + int(shift[0]), left + int(shift[1]) - alpha.shape[1] // 12
    x = max(x, 0)
    behind = canvas[y : y + alpha.shape[0], x : x + alpha.shape[1]]
    soft = cv2.blur(alpha, (9, 9))[: behind.shape[0], : behind.shape[1]]
    if behind.size:
        light = cv2.convertScaleAbs(soft, alpha=-rng.uniform(0.2, 0.6), beta=255)
        behind[...] = cv2.multiply(behind, cv2.cvtColor(light, cv2.COLOR_GRAY2RGB), scale=1 / 255)
