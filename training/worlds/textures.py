"""Procedural textures: fields of grey made of random grids, and the palettes that colour them."""

import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Grey = NDArray[np.uint8]
Field = NDArray[np.float32]
Image = NDArray[np.uint8]
Pixels = TypeVar("Pixels", Image, Field)

_COARSER = 2  # fields are computed at a half of the picture's sides
_TILE_PX = 640  # of the noise that pictures take windows from


def happens(rng: Rng, share: float) -> bool:
    """True with that probability; draws nothing where it is 0, so that scenes without it are those that they were."""
    return share > 0 and rng.random() < share


def texture(rng: Rng, size_hw: tuple[int, int], *, figures: bool = False) -> Image:
    """(H, W, 3) uint8 of some material, evenly lit.

    Args:
        figures: also checks, cells and rings, in which somebody could see squares, hexagons or circles.
    """
    kinds = (*_PLAIN_KINDS, *_FIGURE_KINDS) if figures else _PLAIN_KINDS
    height, width = (-(-side // _COARSER) for side in size_hw)
    field = kinds[rng.integers(len(kinds))](rng, height, width)
    grey = cv2.convertScaleAbs(field, alpha=255)
    grey = cv2.resize(grey, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    image: Image = cv2.applyColorMap(grey, palette(rng))
    return image


def palette(rng: Rng) -> Image:
    """(256, 1, 3) uint8, a way through two to four colours, which are near each other more often than not."""
    stops = int(rng.integers(2, 5))
    base = rng.uniform(0, 255, 3)
    if rng.random() < 0.6:  # greyish, as most walls, floors and fields are
        base = base.mean() + rng.uniform(0.1, 0.5) * (base - base.mean())
    if rng.random() < 0.25:
        base = 140 + 0.45 * base  # pale, as paper, snow, or the ground of a microscope's picture
    lightness = rng.uniform(-1, 1, (stops, 1)) * rng.choice((18, 45, 90))
    tone = rng.normal(0, 1, (stops, 3)) * rng.choice((4, 16, 60), p=(0.45, 0.35, 0.2))
    colours = np.clip(base + lightness + tone, 0, 255).astype(np.float32)
    image: Image = cv2.resize(colours[:, None], (1, 256), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return image


def smooth_noise(rng: Rng, height: int, width: int, cells: float) -> Field:
    """(H, W) from about 0 to 1, with about `cells` bumps along the longer side."""
    scale = cells / max(height, width)
    grid = rng.random((max(round(height * scale), 1) + 2, max(round(width * scale), 1) + 2), np.float32)
    field: Field = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return field


def layered_noise(rng: Rng, height: int, width: int) -> Field:
    """(H, W) from 0 to 1: octaves of noise, each finer and weaker (Perlin, An Image Synthesizer, 1985)."""
    cells, weight = rng.uniform(1, 6), rng.uniform(0.35, 0.75)
    octaves = int(rng.integers(2, 6))
    total = smooth_noise(rng, height, width, cells)
    for octave in range(1, octaves):
        total += weight**octave * smooth_noise(rng, height, width, cells * 2.1**octave)
    field: Field = cv2.normalize(total, None, 0, 1, cv2.NORM_MINMAX)
    return field


def grain(rng: Rng, height: int, width: int) -> Image:
    """(H, W, 3) uint8 window into fixed gaussian noise, mean 128, deviation 32; not to be written to.

    Some windows are the same in all channels.
    """
    tile = _noise_tiles()[int(rng.integers(2))]
    if height > _TILE_PX or width > _TILE_PX:
        tile = np.tile(tile, (-(-height // _TILE_PX) + 1, -(-width // _TILE_PX) + 1, 1))
    top, left = rng.integers(0, tile.shape[0] - height + 1), rng.integers(0, tile.shape[1] - width + 1)
    return tile[top : top + height, left : left + width]


@cache
def _noise_tiles() -> tuple[Image, Image]:
    """Drawn once, because gaussian noise costs more than all else in a scene."""
    rng = np.random.default_rng(0)
    coloured = np.clip(rng.normal(128, 32, (_TILE_PX, _TILE_PX, 3)), 0, 255).astype(np.uint8)
    return coloured, np.repeat(coloured[..., :1], 3, 2)


@lru_cache(256)
def grid_xy(height: int, width: int) -> tuple[Field, Field]:
    """Columns and rows as parts of the longer side, each (H, W), pixel centres; not to be written to."""
    longer = max(height, width)
    x = (np.arange(width) + 0.5) / longer
    y = (np.arange(height) + 0.5) / longer
    columns, rows = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return columns, rows


def waves(rng: Rng, height: int, width: int, frequency: float, angle: float) -> Field:
    """(H, W) phases in turns along a direction, `frequency` turns in the longer side."""
    x, y = grid_xy(height, width)
    along = np.float32(frequency * np.cos(angle)) * x + np.float32(frequency * np.sin(angle)) * y
    return along + np.float32(rng.random())


def smeared(image: Pixels, reach_px: float, turn: float) -> Pixels:
    """The picture smeared along a line about each pixel, to so many pixels either way, turned by radians."""
    middle = math.ceil(reach_px)
    way = reach_px * np.array([np.cos(turn), np.sin(turn)])
    kernel = np.zeros((2 * middle + 1, 2 * middle + 1), np.float32)
    ends = [tuple(np.round((middle + sign * way) * 16).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_8, 4)
    done: Pixels = cv2.filter2D(image, -1, kernel / kernel.sum())
    return done


def _sines(phases: Field) -> Field:
    field: Field = np.sin(phases * np.float32(2 * np.pi))
    return field


def _sharpened(rng: Rng, sines: Field) -> Field:
    """From -1..1 to 0..1, between soft waves and hard edges."""
    field: Field = np.clip(sines * np.float32(rng.choice((0.5, 0.5, 1.5, 6.0))) + np.float32(0.5), 0, 1)
    return field


def _gradient(rng: Rng, height: int, width: int) -> Field:
    slope = waves(rng, height, width, rng.uniform(0.3, 0.8), rng.uniform(0, 2 * np.pi))
    field: Field = cv2.normalize(slope, None, 0, 1, cv2.NORM_MINMAX)
    return field


def _ridges(rng: Rng, height: int, width: int) -> Field:
    return np.abs(2 * layered_noise(rng, height, width) - 1)


def _stripes(rng: Rng, height: int, width: int) -> Field:
    """Boards, cloth, blinds: stripes, straight or bent."""
    phases = waves(rng, height, width, rng.uniform(3, 28), rng.uniform(0, np.pi))
    if rng.random() < 0.5:
        phases = phases + np.float32(rng.uniform(0.2, 2)) * smooth_noise(rng, height, width, rng.uniform(1, 5))
    return _sharpened(rng, _sines(phases))


def _wood(rng: Rng, height: int, width: int) -> Field:
    """Rings of a trunk, cut lengthwise: noise drawn out in one direction, read off in turns."""
    narrow = (max(height // 6, 2), width) if rng.random() < 0.5 else (height, max(width // 6, 2))
    noise = cv2.resize(layered_noise(rng, *narrow), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.float32(0.5) + np.float32(0.5) * _sines(noise * np.float32(rng.uniform(2, 9)))


def _weave(rng: Rng, height: int, width: int) -> Field:
    """Cloth or a grille, too fine to see its squares."""
    angle, frequency = rng.uniform(0, np.pi), min(rng.uniform(0.16, 0.3) * max(height, width), 80)
    first, second = (_sines(waves(rng, height, width, frequency, angle + turn)) for turn in (0, np.pi / 2))
    field: Field = np.clip(first * second * np.float32(rng.uniform(0.2, 0.5)) + layered_noise(rng, height, width), 0, 1)
    return field


def _speckle(rng: Rng, height: int, width: int) -> Field:
    """Gravel, leaves or crumbs: fine noise, blurred a little and hardened."""
    fine = cv2.extractChannel(np.ascontiguousarray(grain(rng, height, width)), 0)
    soft = cv2.GaussianBlur(fine, (0, 0), rng.uniform(0.7, 2.5))
    spread = max(float(soft.std()), 1.0)
    hard = rng.uniform(0.15, 0.6) / spread
    field: Field = np.clip((soft.astype(np.float32) - np.float32(128)) * np.float32(hard) + np.float32(0.5), 0, 1)
    return field


def _blotches(rng: Rng, height: int, width: int) -> Field:
    noise = layered_noise(rng, height, width)
    field: Field = np.clip((noise - np.float32(0.5)) * np.float32(rng.uniform(4, 25)) + np.float32(0.5), 0, 1)
    return field


def _checks(rng: Rng, height: int, width: int) -> Field:
    frequency, angle = rng.uniform(2, 10), rng.uniform(0, np.pi)
    first, second = (_sines(waves(rng, height, width, frequency, angle + turn)) for turn in (0, np.pi / 2))
    return _sharpened(rng, np.sign(first * second) * np.float32(0.7))


def _cells(rng: Rng, height: int, width: int) -> Field:
    """Tiles, stones or a mosaic: what lies nearest to each of some points (Worley, 1996)."""
    count = int(rng.integers(8, 90))
    apart = np.full((height, width), 255, np.uint8)
    apart[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    distance, nearest = cv2.distanceTransformWithLabels(apart, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    if rng.random() < 0.3:
        bumps: Field = cv2.normalize(distance, None, 0, 1, cv2.NORM_MINMAX)
        return bumps
    shades: Field = rng.random(count + 1, np.float32)
    field: Field = shades[nearest]
    return field


def _rings(rng: Rng, height: int, width: int) -> Field:
    x, y = grid_xy(height, width)
    centre_x, centre_y = rng.uniform(-0.2, 1.2, 2).astype(np.float32)
    return _sharpened(rng, _sines(np.hypot(x - centre_x, y - centre_y) * np.float32(rng.uniform(3, 15))))


_Kind = Callable[[Rng, int, int], Field]
_PLAIN_KINDS: tuple[_Kind, ...] = (
    *(layered_noise, layered_noise, layered_noise, _gradient, _gradient, _ridges, _stripes),
    *(_wood, _weave, _speckle, _speckle, _blotches),
)
_FIGURE_KINDS: tuple[_Kind, ...] = (_checks, _checks, _cells, _cells, _cells, _rings)
