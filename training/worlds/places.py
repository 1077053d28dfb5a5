"""Where things are to each other, and when that can be said beyond doubt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from annotations.shapes import Box
from training.worlds.nouns import Description

Relation = Literal["left of", "right of", "above", "below", "next to"]
Side = Literal["leftmost", "rightmost", "topmost", "bottommost"]
Size = Literal["larger", "smaller"]

_LARGER = 1.6  # times the area
_APART = 0.5  # of the mean width or height: how far from the next one the outermost must be
_STEEP = 2.0  # left and right are not said where the way is this many times as much up or down
_NEAR = 0.5  # of the mean side: the widest gap between things that are next to each other
_FAR = 1.5  # the narrowest between things that are not


@dataclass(frozen=True)
class Thing:
    """One thing in a picture: what is said of it, and its box in pixels."""

    description: Description
    box: Box

    @property
    def center(self) -> tuple[float, float]:
        """x, y in pixels."""
        x1, y1, x2, y2 = self.box
        return (x1 + x2) / 2, (y1 + y2) / 2

    @property
    def sides(self) -> tuple[float, float]:
        """Width and height in pixels."""
        x1, y1, x2, y2 = self.box
        return x2 - x1, y2 - y1

    @property
    def area(self) -> float:
        """In square pixels."""
        width, height = self.sides
        return width * height


def stands(relation: Relation, one: Thing, other: Thing) -> bool | None:
    """Whether `one` stands so to `other`; None where people might disagree.

    Left and above need boxes side by side, and centers more across than away; their denial needs centers on the
    other side.
    """
    if relation == "next to":
        return _is_near(one, other)
    axis = 0 if relation in ("left of", "right of") else 1
    before, after = (one, other) if relation in ("left of", "above") else (other, one)
    if before.center[axis] >= after.center[axis]:
        return False
    along, across = (abs(one.center[side] - other.center[side]) for side in (axis, 1 - axis))
    return True if before.box[axis + 2] <= after.box[axis] and across <= _STEEP * along else None


def outermost(side: Side, things: Sequence[Thing]) -> Thing | None:
    """The thing furthest to a side, if it clearly is: by center, by edge, and by some distance."""
    axis = 0 if side in ("leftmost", "rightmost") else 1
    sign = 1 if side in ("leftmost", "topmost") else -1
    edge = axis if sign > 0 else axis + 2
    first, *rest = sorted(things, key=lambda thing: sign * thing.center[axis])
    for other in rest:
        apart = sign * (other.center[axis] - first.center[axis])
        if apart < _APART * (first.sides[axis] + other.sides[axis]) / 2:
            return None
        if sign * first.box[edge] >= sign * other.box[edge]:
            return None
    return first


def of_size(size: Size, things: Sequence[Thing]) -> Thing | None:
    """The largest or smallest thing, if it clearly is."""
    ordered = sorted(things, key=lambda thing: thing.area, reverse=size == "larger")
    more, less = ordered[:2] if size == "larger" else ordered[1::-1]
    return ordered[0] if more.area >= _LARGER * less.area else None


def _is_near(one: Thing, other: Thing) -> bool | None:
    gaps = [max(one.box[axis] - other.box[axis + 2], other.box[axis] - one.box[axis + 2], 0.0) for axis in (0, 1)]
    gap = (gaps[0] ** 2 + gaps[1] ** 2) ** 0.5
    side = sum((*one.sides, *other.sides)) / 4
    if gap <= _NEAR * side:
        return True
    return False if gap >= _FAR * side else None
