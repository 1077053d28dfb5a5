"""The outlines of plain shapes."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Points = NDArray[np.float64]

_SIDE_PX = 128
_FINER = 4  # drawn so much larger, then reduced, for smooth edges
_RIM = 1 / 32  # of the side
_ROUND = 90  # corners that stand for a curve
_SHIFT = 4  # binary places of the coordinates that OpenCV fills between


@cache
def shape_masks(shape: str) -> tuple[Mask, Mask]:
    """The whole of a shape, and what of it lies within its rim.

    Args:
        shape: one of `SHAPES`.

    Returns:
        Twice (H, W) uint8 from 0 to 255, the longer side 128 px, cropped to what is drawn.
    """
    side = _SIDE_PX * _FINER
    whole = np.zeros((side, side), np.uint8)
    outlines = [np.round((outline + 1) * side / 2 * 2**_SHIFT).astype(np.int32) for outline in _outlines(shape)]
    cv2.fillPoly(whole, outlines, 255, cv2.LINE_8, _SHIFT)
    framed = cv2.copyMakeBorder(whole, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    inner = np.where(depth > _RIM * side, 255, 0).astype(np.uint8)
    small = [cv2.resize(mask, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA) for mask in (whole, inner)]
    x, y, width, height = cv2.boundingRect(small[0])
    return small[0][y : y + height, x : x + width], small[1][y : y + height, x : x + width]


def _outlines(shape: str) -> list[Points]:
    """Corners from -1 to 1, y downwards; a second outline is a hole."""
    if shape in ("circle", "oval"):
        return [_ellipse(0.99, 0.99 if shape == "circle" else 0.55)]
    if shape in ("square", "rectangle"):
        half = 0.99 if shape == "square" else 0.495
        return [np.array([(-0.99, -half), (0.99, -half), (0.99, half), (-0.99, half)])]
    if shape == "ring":
        return [_ellipse(0.99, 0.99), _ellipse(0.52, 0.52)]
    if shape == "crescent":
        return [_crescent()]
    if shape == "heart":
        return [_heart()]
    if shape in _DRAWN:
        return [np.array(_DRAWN[shape])]
    return [_star_like(*_RADII[shape])]


_RADII = {  # of the corners, in turn, and how many there are
    "triangle": ((0.99,), 3),
    "pentagon": ((0.99,), 5),
    "hexagon": ((0.99,), 6),
    "star": ((0.99, 0.42), 10),
}
_DRAWN = {
    "diamond": [(0, -0.99), (0.72, 0), (0, 0.99), (-0.72, 0)],  # taller than wide: no turned square
    "cross": [
        *((-0.33, -0.99), (0.33, -0.99), (0.33, -0.33), (0.99, -0.33), (0.99, 0.33), (0.33, 0.33)),
        *((0.33, 0.99), (-0.33, 0.99), (-0.33, 0.33), (-0.99, 0.33), (-0.99, -0.33), (-0.33, -0.33)),
    ],
    "arrow": [(-0.99, -0.24), (0.1, -0.24), (0.1, -0.7), (0.99, 0), (0.1, 0.7), (0.1, 0.24), (-0.99, 0.24)],
}


def _star_like(radii: tuple[float, ...], corners: int) -> Points:
    turns = np.arange(corners) * 2 * np.pi / corners
    length = np.resize(radii, corners)
    return np.stack([length * np.sin(turns), -length * np.cos(turns)], 1)


def _ellipse(wide: float, high: float) -> Points:
    turns = np.arange(_ROUND) * 2 * np.pi / _ROUND
    return np.stack([wide * np.cos(turns), high * np.sin(turns)], 1)


def _crescent() -> Points:
    """Between the left of a circle and the left of a smaller one that has moved to the right."""
    outer = np.linspace(0.28 * np.pi, 1.72 * np.pi, _ROUND)
    tip = np.array([np.cos(outer[0]), np.sin(outer[0])])
    centre, radius = 0.42, float(np.hypot(tip[0] - 0.42, tip[1]))
    start = float(np.arctan2(tip[1], tip[0] - centre))
    inner = np.linspace(2 * np.pi - start, start, _ROUND)
    points = [(np.cos(outer), np.sin(outer)), (centre + radius * np.cos(inner), radius * np.sin(inner))]
    return 0.99 * np.concatenate([np.stack(part, 1) for part in points])


def _heart() -> Points:
    turns = np.arange(_ROUND) * 2 * np.pi / _ROUND
    x = 16 * np.sin(turns) ** 3
    y = 13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns)
    return 0.99 * np.stack([x, -y - 2.5], 1) / 16
