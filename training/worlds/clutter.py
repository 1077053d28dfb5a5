"""What lies about in a scene and has no name: strokes, blots, shreds and, where asked for, plain shapes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.concepts import CONCEPTS
from training.worlds.sprites import sprite
from training.worlds.textures import Rng, palette, texture

Image = NDArray[np.uint8]
Outline = NDArray[np.float64]
_SHIFT = 4  # binary places of OpenCV's coordinates
_LEAVES = (80, 600)  # in a thicket
_LEAF, _LARGEST_LEAF = 0.022, 0.3  # half the length of a leaf, parts of the picture's shorter side
_OUTLINES = 12  # different leaves in a thicket


def draw_clutter(rng: Rng, image: Image) -> None:
    """Put some strokes, blots and shreds into an (H, W, 3) uint8 picture, in place."""
    kinds = rng.choice(3, int(rng.integers(2, 10)), p=(0.4, 0.3, 0.3)).tolist()
    for kind in kinds:
        (_stroke, _blot, _shred)[kind](rng, image)


def draw_thicket(rng: Rng, image: Image) -> None:
    """Cover an (H, W, 3) uint8 picture with leaves, twigs or gravel, in place: the many small, the large few.

    The dead leaves of Lee, Mumford and Huang (Occlusion Models for Natural Images, 2001), whose sizes fall off as those
    of what is seen on photos do. Their outlines are uneven: none is a shape that has a name.
    """
    height, width = image.shape[:2]
    count = round(np.exp(rng.uniform(*np.log(_LEAVES))))
    colours = palette(rng)[rng.integers(0, 256, count), 0].tolist()
    reach = np.clip(_LEAF * rng.power(1, count) ** -0.5, _LEAF, _LARGEST_LEAF) * min(height, width)
    narrow = rng.uniform(*((0.05, 0.3), (0.3, 1.0))[rng.integers(2)], count)
    turns = rng.normal(rng.uniform(0, np.pi), rng.choice((0.3, 3.0)), count)
    centres = rng.uniform(-0.05, 1.05, (count, 2)) * (width, height)
    outlines = [_lump(rng) for _ in range(_OUTLINES)]
    for place in range(count):
        along = np.array([np.cos(turns[place]), np.sin(turns[place])])
        axes = reach[place] * np.stack([along, narrow[place] * along[::-1] * (-1, 1)])
        _fill(image, centres[place] + outlines[place % _OUTLINES] @ axes, colours[place])


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
    """A line that wanders: a crack, a wire, a branch, an edge; straight ones are thin."""
    height, width = image.shape[:2]
    start, way = rng.uniform(-0.1, 1.1, 2), rng.normal(0, 0.35, 2)
    wanders = rng.random() < 0.6
    bends = np.cumsum(rng.normal(0, 0.04 if wanders else 0.001, (8, 2)), 0)
    points = start + np.linspace(0, 1, 8)[:, None] * way + bends
    pixels = np.round(points * (width, height) * 2**_SHIFT).astype(np.int32)
    thick = max(round(rng.choice((0.004, 0.02, 0.05) if wanders else (0.004, 0.008)) * min(height, width)), 1)
    cv2.polylines(image, [pixels], False, _colour(rng), thick, cv2.LINE_AA, _SHIFT)


def _blot(rng: Rng, image: Image) -> None:
    """A lump with an uneven outline, of one colour or of some material."""
    height, width = image.shape[:2]
    side = 2 * int(rng.uniform(0.02, 0.16) * min(height, width)) + 4
    x, y = (int(rng.uniform(-0.3 * side, whole - 0.7 * side)) for whole in (width, height))
    left, top = max(x, 0), max(y, 0)
    target = image[top : y + side, left : x + side]
    lump = np.zeros(target.shape[:2], np.uint8)
    _fill(lump, (1 + _lump(rng)) * side / 2 - (left - x, top - y), 255)
    filling = texture(rng, target.shape[:2]) if rng.random() < 0.4 else np.full_like(target, _colour(rng))
    cv2.copyTo(filling, lump, target)


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
    _fill(torn, (1 + _lump(rng)) * side / 2, 255)
    seen = (torn > 0) & (piece[..., 3] > 127)
    np.copyto(target, piece[: target.shape[0], : target.shape[1], :3], where=seen[..., None])


def _lump(rng: Rng) -> Outline:
    """(40, 2) corners of an uneven, smooth outline around the origin, at most 1 away from it."""
    turns = np.arange(40) * np.pi / 20
    waves = np.cos(turns[:, None] * (2, 3, 4) + rng.uniform(0, 2 * np.pi, 3))  # (40, 3)
    length = (1 + waves @ (rng.uniform(0.1, 0.3, 3) * (1, 1, 0.6))) / 1.8
    return np.stack([length * np.cos(turns), length * np.sin(turns)], 1)


def _fill(image: Image, points: Outline, colour: tuple[int, ...] | int) -> None:
    cv2.fillPoly(image, [np.round(points * 2**_SHIFT).astype(np.int32)], colour, cv2.LINE_AA, _SHIFT)


def _colour(rng: Rng) -> tuple[int, ...]:
    return tuple(rng.integers(0, 256, 3).tolist())
