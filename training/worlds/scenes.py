"""One rendered picture with the exact place of everything in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.backgrounds import background
from training.worlds.canvas import Canvas, some_shadow
from training.worlds.concepts import CONCEPTS, THINGS
from training.worlds.layouts import Layout
from training.worlds.photo import developed, photographed
from training.worlds.poses import posed
from training.worlds.rules import CROWDED_RULES, SceneRules
from training.worlds.textures import Rng, happens

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
    shadow = some_shadow(rng, min(size_hw)) if rng.random() < rules.shadow_share else None
    canvas = Canvas(background(rng, size_hw, rules), shadow)
    count = int(rng.integers(rules.min_objects, rules.max_objects + 1)) if len(concepts) else 0
    layout = Layout(size_hw, rules)
    labels: list[int] = []
    for concept in [concepts[place] for place in rng.integers(0, max(len(concepts), 1), count).tolist()]:
        thing = posed(rng, concept, min(size_hw), rules)
        corner = layout.find(rng, thing.size)
        if corner is not None and canvas.put(thing, corner):
            labels.append(concept)
    image = photographed(rng, canvas.image, rules)
    if all(THINGS[label].name == THINGS[label].noun for label in labels) and happens(rng, rules.developed_share):
        image = developed(rng, image)
    boxes = np.array(canvas.boxes, np.float32).reshape(-1, 4)
    return Scene(image, boxes, np.array(labels, np.int64), canvas.owner)


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
