"""What lies about in a scene and has no name: strokes, blots, shreds and, where asked for, plain shapes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.concepts import CONCEPTS
from training.worlds.sprites import sprite
from training.worlds.textures import Rng

Image = NDArray[np.uint8]
_SHIFT = 4  # binary places of OpenCV's coordinates
_CORNERS = 14  # of a blot


def draw_clutter(rng: Rng, image: Image) -> None:
    """Put some strokes, blots and shreds into an (H, W, 3) uint8 picture, in place."""
    kinds = rng.choice(3, int(rng.integers(2, 10)), p=(0.4, 0.3, 0.3)).tolist()
    for kind in kinds:
        (_stroke, _blot, _shred)[kind](rng, image)


def draw_figures(rng: Rng, image: Image) -> None:
    """Put one to six rectangles, ellipses or triangles of any colour into the picture, in place."""
    height, width = image.shape[:2]
    for kind in rng.integers(0, 3, int(rng.integers(1, 7))).tolist():
        centre, half = rng.uniform(0, 1, 2) * (width, height), rng.uniform(0.03, 0.25, 2) * (width, height)
        if kind == 0:
            corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        elif kind == 1:
            turns = np.arange(40) * np.pi / 20
            corners = np.stack([np.cos(turns), np.sin(turns)], 1)
        else:
            corners = rng.uniform(-1, 1, (3, 2))
        turn = rng.uniform(0, np.pi) if rng.random() < 0.5 else 0.0
        turned = corners * half @ np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
        _fill(image, centre + turned, _colour(rng))


def _stroke(rng: Rng, image: Image) -> None:
    """A line that wanders: a crack, a wire, a branch, an edge."""
    height, width = image.shape[:2]
    start, way = rng.uniform(-0.1, 1.1, 2), rng.normal(0, 0.35, 2)
    steps = np.linspace(0, 1, 8)[:, None]
    points = start + steps * way + np.cumsum(rng.normal(0, rng.choice((0.002, 0.04)), (8, 2)), 0)
    pixels = np.round(points * (width, height) * 2**_SHIFT).astype(np.int32)
    thick = max(round(rng.choice((0.004, 0.008, 0.02, 0.05)) * min(height, width)), 1)
    cv2.polylines(image, [pixels], False, _colour(rng), thick, cv2.LINE_AA, _SHIFT)


def _blot(rng: Rng, image: Image) -> None:
    """A lump with an uneven outline, flat or grained."""
    height, width = image.shape[:2]
    outline = _lump(rng) * rng.uniform(0.02, 0.16) * min(height, width) * rng.uniform(0.6, 1.6, 2)
    centre = rng.uniform(0, 1, 2) * (width, height)
    _fill(image, centre + outline, _colour(rng))


def _shred(rng: Rng, image: Image) -> None:
    """A torn piece out of the inside of some emoji, too small to tell what of."""
    height, width = image.shape[:2]
    source = sprite(int(rng.integers(len(CONCEPTS))), 60)
    part = max(int(rng.uniform(0.15, 0.28) * min(source.shape[:2])), 4)
    top, left = (int(rng.integers(0, side - part + 1)) for side in source.shape[:2])
    side = int(rng.uniform(0.03, 0.1) * min(height, width)) + 4
    piece = cv2.resize(source[top : top + part, left : left + part], (side, side))
    x, y = int(rng.integers(0, max(width - side, 1))), int(rng.integers(0, max(height - side, 1)))
    target = image[y : y + side, x : x + side]
    torn = np.zeros((side, side), np.uint8)
    _fill(torn, (1 + 0.8 * _lump(rng)) * side / 2, 255)
    seen = (torn > 0) & (piece[..., 3] > 127)
    np.copyto(target, piece[: target.shape[0], : target.shape[1], :3], where=seen[..., None])


def _lump(rng: Rng) -> NDArray[np.float64]:
    """(14, 2) corners around the origin, between 0.35 and 1 away from it."""
    turns = (np.arange(_CORNERS) + rng.uniform(-0.4, 0.4, _CORNERS)) * 2 * np.pi / _CORNERS
    length = rng.uniform(0.35, 1, _CORNERS)
    return np.stack([length * np.cos(turns), length * np.sin(turns)], 1)


def _fill(image: Image, points: NDArray[np.float64], colour: tuple[int, ...] | int) -> None:
    cv2.fillPoly(image, [np.round(points * 2**_SHIFT).astype(np.int32)], colour, cv2.LINE_AA, _SHIFT)


def _colour(rng: Rng) -> tuple[int, ...]:
    return tuple(rng.integers(0, 256, 3).tolist())
