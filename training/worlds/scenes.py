"""One rendered picture with the exact place of everything in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.backgrounds import background
from training.worlds.concepts import CONCEPTS
from training.worlds.layouts import Layout
from training.worlds.photo import photographed
from training.worlds.poses import Posed, posed, solid_box
from training.worlds.rules import CROWDED_RULES, SceneRules
from training.worlds.textures import Rng

__all__ = ["CROWDED_RULES", "Scene", "SceneRules", "numbered_scene", "render_scene", "usual_size_hw"]

_ASPECTS = (1.0, 4 / 3, 3 / 2, 16 / 9, 3 / 4, 2 / 3)  # width : height


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) float32 pixels, each thing's whole extent inside the picture, as if nothing covered it.
        labels: (N,) int64, indices into `THINGS`.
        owner: (H, W) uint8, 0 for background, i + 1 where thing i is seen.
    """

    image: NDArray[np.uint8]
    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    owner: NDArray[np.uint8]

    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W) bool, the visible pixels of each thing."""
        numbers = np.arange(1, len(self.labels) + 1, dtype=np.uint8)
        return np.equal(self.owner[None], numbers[:, None, None])


def render_scene(rng: Rng, size_hw: tuple[int, int], concepts: Sequence[int], rules: SceneRules | None = None) -> Scene:
    """A scene of things drawn from `concepts`, fully decided by the state of `rng`.

    OpenCV's threads are turned off in this process: whoever needs many scenes renders in many processes.

    Args:
        rng: advanced by the call.
        size_hw: height and width in pixels.
        concepts: indices into `THINGS`; none gives an empty scene.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    cv2.setNumThreads(0)
    rules = rules or SceneRules()
    canvas = background(rng, size_hw, rules)
    owner = np.zeros(size_hw, np.uint8)
    shadow = _Shadow.drawn(rng, min(size_hw)) if rng.random() < rules.shadow_share else None
    count = int(rng.integers(rules.min_objects, rules.max_objects + 1)) if len(concepts) else 0
    places = Layout(size_hw, rules)
    boxes: list[tuple[int, int, int, int]] = []
    labels: list[int] = []
    for concept in [concepts[place] for place in rng.integers(0, max(len(concepts), 1), count).tolist()]:
        thing = posed(rng, concept, min(size_hw), rules)
        corner = places.find(rng, thing.size)
        if corner is None:
            continue
        boxes.append(_put(canvas, owner, thing, corner, len(boxes) + 1, shadow))
        labels.append(concept)
    image = photographed(rng, canvas, rules)
    return Scene(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), owner)


def numbered_scene(seed: int, index: int, *, longest_px: int = 480, rules: SceneRules | None = None) -> Scene:
    """Scene number `index` of an endless row that `seed` names, with any of the concepts, of any usual aspect.

    Args:
        longest_px: longer side of the largest picture; the smallest is half of it.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    rng = np.random.default_rng((seed, index))
    return render_scene(rng, usual_size_hw(rng, longest_px), range(len(CONCEPTS)), rules)


def usual_size_hw(rng: Rng, longest_px: int) -> tuple[int, int]:
    """Height and width of a picture of some usual aspect, its longer side from half of `longest_px` to all of it."""
    longest = int(rng.integers(longest_px // 2, longest_px + 1))
    aspect = _ASPECTS[rng.integers(len(_ASPECTS))]
    shortest = round(longest / max(aspect, 1 / aspect))
    return (shortest, longest) if aspect >= 1 else (longest, shortest)


@dataclass(frozen=True)
class _Shadow:
    """What all things of a scene cast to the same side."""

    shift_xy: tuple[int, int]
    blur_px: int  # side of the square that is averaged, odd
    strength: float

    @staticmethod
    def drawn(rng: Rng, short_side: int) -> "_Shadow":
        far = 0.03 * short_side
        shift = (round(rng.uniform(-far, far)), round(rng.uniform(0, far)))
        return _Shadow(shift, 2 * max(round(rng.uniform(0.005, 0.02) * short_side), 1) + 1, rng.uniform(0.25, 0.6))


def _put(
    canvas: NDArray[np.uint8],
    owner: NDArray[np.uint8],
    thing: Posed,
    corner: tuple[int, int],
    number: int,
    shadow: _Shadow | None,
) -> tuple[int, int, int, int]:
    """Put a thing with its solid box's corner at `corner`; returns the part of that box that lies inside."""
    x, y = corner[0] - thing.solid_xyxy[0], corner[1] - thing.solid_xyxy[1]
    alpha = cv2.extractChannel(thing.picture, 3)
    if shadow is not None:
        _darken(canvas, alpha, x, y, shadow)
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + alpha.shape[1], owner.shape[1]), min(y + alpha.shape[0], owner.shape[0])
    part = thing.picture[top - y : bottom - y, left - x : right - x]
    alpha = alpha[top - y : bottom - y, left - x : right - x]
    behind = canvas[top:bottom, left:right]
    through = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2RGB)
    behind[...] = cv2.add(cv2.multiply(behind, through, scale=1 / 255), cv2.cvtColor(part, cv2.COLOR_RGBA2RGB))
    owner[top:bottom, left:right][alpha > 127] = number
    x1, y1, x2, y2 = solid_box(alpha)
    return left + x1, top + y1, left + x2, top + y2


def _darken(canvas: NDArray[np.uint8], alpha: NDArray[np.uint8], x: int, y: int, shadow: _Shadow) -> None:
    reach = shadow.blur_px
    wide = cv2.copyMakeBorder(alpha, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    soft = cv2.blur(cv2.blur(wide, (reach, reach)), (reach, reach))
    x, y = x - reach + shadow.shift_xy[0], y - reach + shadow.shift_xy[1]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + soft.shape[1], canvas.shape[1]), min(y + soft.shape[0], canvas.shape[0])
    if right <= left or bottom <= top:
        return
    light = cv2.convertScaleAbs(soft[top - y : bottom - y, left - x : right - x], alpha=-shadow.strength, beta=255)
    behind = canvas[top:bottom, left:right]
    behind[...] = cv2.multiply(behind, cv2.cvtColor(light, cv2.COLOR_GRAY2RGB), scale=1 / 255)
