"""Where in a picture there is room for one more thing."""

import numpy as np
from numpy.typing import NDArray

from training.worlds.rules import SceneRules
from training.worlds.textures import Rng

_TRIES = 12  # places tried for one thing before it is left out
_CUT = 0.3  # of a thing's width and height: the most that reaches over an edge


class Layout:
    """The boxes that have their place already, each as far as it lies inside the picture."""

    def __init__(self, size_hw: tuple[int, int], rules: SceneRules) -> None:
        self._size = np.array(size_hw[::-1])
        self._rules = rules
        self._boxes = np.zeros((rules.max_objects, 4))
        self._count = 0

    def find(self, rng: Rng, size: tuple[int, int]) -> tuple[int, int] | None:
        """Left upper corner of a place for a box of this width and height, which is taken from now on.

        A box that is larger than the picture reaches over its edge whatever the rules say. None where there is no room,
        or the box is far too large or empty.
        """
        sides = np.array(size)
        cut = _CUT if rng.random() < self._rules.cut_share or (sides > self._size).any() else 0.0
        low = -np.floor(cut * sides)
        room = self._size - sides - low - low
        if (room < 0).any() or (sides <= 0).any():
            return None
        corners = low + np.floor(rng.random((_TRIES, 2)) * (room + 1))  # (12, 2)
        return self._take(corners, sides)

    def _take(self, corners: NDArray[np.float64], sides: NDArray[np.int64]) -> tuple[int, int] | None:
        """The first of the (12, 2) corners that leaves its box and the others free enough."""
        taken = self._boxes[: self._count]
        low, high = np.maximum(corners, 0), np.minimum(corners + sides, self._size)
        overlap = np.minimum(high[:, None], taken[:, 2:]) - np.maximum(low[:, None], taken[:, :2])  # (12, N, 2)
        shared = np.maximum(overlap, 0).prod(2)  # (12, N) pixels
        smaller = np.minimum((high - low).prod(1)[:, None], (taken[:, 2:] - taken[:, :2]).prod(1))
        free = np.flatnonzero((shared <= self._rules.max_overlap * smaller).all(1))
        if not len(free):
            return None
        self._boxes[self._count] = (*low[free[0]], *high[free[0]])
        self._count += 1
        x, y = corners[free[0]].tolist()
        return int(x), int(y)
