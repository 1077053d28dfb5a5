"""What a thing's surface looks like: the texture it is named after, its own light, a grain."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.sprites import Picture
from training.worlds.textures import Field, Rng, grain, waves

_WHITE, _BLACK = (240, 240, 240), (25, 25, 25)
_CHECK = 0.43  # half the side of a dark check, in checks: a little less than a half, to leave the colour most room


def patterned(rng: Rng, picture: Picture, inner: NDArray[np.uint8], texture: str) -> Picture:
    """The picture of a shape with stripes, spots or checks of white or black on at most 40 percent of it.

    Args:
        inner: (H, W) uint8, 255 where the pattern may lie.
        texture: one of `TEXTURES`.
    """
    height, width = inner.shape
    cover = _PATTERNS[texture](rng, height, width) * (inner * np.float32(1 / 255))  # (H, W) 0..1
    other = np.array([*_contrasting(rng, picture), 255], np.float32)
    painted = picture + (other - picture) * cover[..., None]
    return np.minimum(painted.round(), picture[..., 3:]).astype(np.uint8)


def _contrasting(rng: Rng, picture: Picture) -> tuple[int, int, int]:
    lightness = float(picture[..., 1].sum(dtype=np.int64)) / float(picture[..., 3].sum(dtype=np.int64))
    if lightness > 0.68:
        return _BLACK
    return _WHITE if lightness < 0.4 or rng.random() < 0.5 else _BLACK


def _striped(rng: Rng, height: int, width: int) -> Field:
    frequency = rng.uniform(4, 6)
    phases = waves(rng, height, width, frequency, rng.uniform(0, np.pi))
    return _within(rng.uniform(0.15, 0.18), np.abs(phases % 1 - np.float32(0.5)), max(height, width) / frequency)


def _spotted(rng: Rng, height: int, width: int) -> Field:
    frequency, angle = rng.uniform(3.5, 5), rng.uniform(0, np.pi)
    rows = waves(rng, height, width, frequency, angle)
    columns = waves(rng, height, width, frequency, angle + np.pi / 2)
    columns += np.float32(0.5) * (np.floor(rows) % 2)
    distance = np.hypot(rows % 1 - np.float32(0.5), columns % 1 - np.float32(0.5))
    return _within(rng.uniform(0.27, 0.31), distance, max(height, width) / frequency)


def _checkered(rng: Rng, height: int, width: int) -> Field:
    frequency, angle = rng.uniform(4, 6), rng.uniform(-0.2, 0.2)
    rows = waves(rng, height, width, frequency, angle)
    columns = waves(rng, height, width, frequency, angle + np.pi / 2)
    odd = (np.floor(rows) + np.floor(columns)) % 2
    distance = np.maximum(np.abs(rows % 1 - np.float32(0.5)), np.abs(columns % 1 - np.float32(0.5)))
    return odd * _within(_CHECK, distance, max(height, width) / frequency)


def _within(limit: float, distance: Field, period_px: float) -> Field:
    """1 where the distance, in periods, is below the limit, with an edge one pixel wide."""
    field: Field = np.clip((np.float32(limit) - distance) * np.float32(period_px) + np.float32(0.5), 0, 1)
    return field


_PATTERNS = {"striped": _striped, "spotted": _spotted, "checkered": _checkered}


def lit(rng: Rng, picture: Picture, *, recolour: bool) -> Picture:
    """The picture brighter or darker, paler or stronger; with `recolour` also of a slightly other hue."""
    reach = 1.0 if recolour else 0.5
    gain, offset = 1 + reach * rng.uniform(-0.25, 0.25), reach * rng.uniform(-0.08, 0.08)
    saturation = 1 + reach * rng.uniform(-0.3, 0.2)
    turn = np.deg2rad(rng.uniform(-12, 12)) if recolour else 0.0
    matrix = np.zeros((4, 4))
    matrix[:3, :3] = gain * _hue_turned(turn, saturation)
    matrix[:3, 3] = offset
    matrix[3, 3] = 1
    bright = cv2.transform(picture, matrix)
    alpha = cv2.extractChannel(picture, 3)
    changed: Picture = cv2.min(bright, cv2.merge((alpha, alpha, alpha, alpha)))
    return changed


def _hue_turned(turn: float, saturation: float) -> NDArray[np.float64]:
    """(3, 3) turn about the axis of greys (Rodrigues' formula), after moving colours away from their grey."""
    axis = 1 / np.sqrt(3)
    skew = axis * np.array([(0, -1, 1), (1, 0, -1), (-1, 1, 0)])
    turned = np.eye(3) + np.sin(turn) * skew + (1 - np.cos(turn)) * skew @ skew
    result: NDArray[np.float64] = (1 - saturation) / 3 + saturation * turned  # rows of a turn about that axis sum to 1
    return result


def grained(rng: Rng, picture: Picture) -> Picture:
    """The picture with darker flecks, fine or coarse."""
    height, width = picture.shape[:2]
    coarse = float(rng.choice((1, 2, 4)))
    window = grain(rng, -(-height // int(coarse)), -(-width // int(coarse)))
    flecks = cv2.resize(cv2.extractChannel(np.ascontiguousarray(window), 0), (width, height))
    flecks = cv2.convertScaleAbs(flecks, alpha=rng.uniform(0.2, 0.7), beta=150)
    changed: Picture = cv2.multiply(
        picture, cv2.merge((flecks, flecks, flecks, np.full_like(flecks, 255))), scale=1 / 255
    )
    return changed
