"""Where in a picture there is room for one more thing."""

import numpy as np
from numpy.typing import NDArray

from training.worlds.rules import SceneRules
from training.worlds.textures import Rng

_TRIES = 12  # places tried for one thing before it is left out
_CUT = 0.3  # of a thing's width and height: the most that reaches over an edge
_COVERED = 1.8  # times `max_overlap`: how much of a thing all later ones together may cover


class Layout:
    """The boxes that have their place already."""

    def __init__(self, size_hw: tuple[int, int], rules: SceneRules) -> None:
        self._size = np.array(size_hw[::-1])
        self._rules = rules
        self._boxes = np.zeros((rules.max_objects, 4))
        self._areas = np.zeros(rules.max_objects)
        self._covered = np.zeros(rules.max_objects)  # share of each box
        self._count = 0

    def find(self, rng: Rng, size: tuple[int, int]) -> tuple[int, int] | None:
        """Left upper corner of a place for a box of this width and height, which is taken from now on.

        None where there is no room, or the box is too large or empty.
        """
        sides = np.array(size)
        cut = _CUT if rng.random() < self._rules.cut_share else 0.0
        low = -np.floor(cut * sides)
        room = self._size - sides - low - low
        if (room < 0).any() or (sides <= 0).any():
            return None
        corners = low + np.floor(rng.random((_TRIES, 2)) * (room + 1))  # (12, 2)
        return self._take(corners, sides)

    def _take(self, corners: NDArray[np.float64], sides: NDArray[np.int64]) -> tuple[int, int] | None:
        boxes, areas = self._boxes[: self._count], self._areas[: self._count]
        area = float(sides.prod())
        low = np.maximum(corners[:, None], boxes[None, :, :2])  # (12, N, 2)
        high = np.minimum(corners[:, None] + sides, boxes[None, :, 2:])
        shared = np.maximum(high - low, 0).prod(2)  # (12, N) pixels
        allowed = shared <= self._rules.max_overlap * np.minimum(areas, area)
        allowed &= self._covered[: self._count] + shared / areas <= _COVERED * self._rules.max_overlap
        free = np.flatnonzero(allowed.all(1))
        if not len(free):
            return None
        x, y = corners[free[0]].tolist()
        self._covered[: self._count] += shared[free[0]] / areas
        self._boxes[self._count] = (x, y, x + sides[0], y + sides[1])
        self._areas[self._count] = area
        self._count += 1
        return int(x), int(y)
