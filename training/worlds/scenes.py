"""One rendered picture with the exact place of everything in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.worlds.backgrounds import Rng, background
from training.worlds.concepts import CONCEPTS
from training.worlds.sprites import sprite

_TRIES = 10  # places tried for one thing before it is left out
_MIN_SIDE_PX = 8
_ASPECTS = (1.0, 4 / 3, 3 / 2, 16 / 9, 3 / 4, 2 / 3)  # width : height


@dataclass(frozen=True)
class SceneRules:
    """How a scene is filled; shares are probabilities, sizes are parts of the picture's shorter side."""

    min_objects: int = 1
    max_objects: int = 9
    smallest: float = 0.12  # height of a thing
    largest: float = 0.46
    stretch: tuple[float, float] = (0.85, 1.15)  # of a thing's width
    max_overlap: float = 0.25  # of the smaller of two boxes
    cut_share: float = 0.1  # things that may reach over the picture's edge
    turned_share: float = 0.3  # things turned by up to 25 degrees
    jpeg_share: float = 0.25  # pictures with traces of compression
    backdrop_share: float = 0.4  # pictures with plain shapes behind the things
    light_share: float = 0.4  # pictures with other brightness


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) float32 pixels, each thing's whole extent inside the picture.
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

    Args:
        rng: advanced by the call.
        size_hw: height and width in pixels.
        concepts: indices into `THINGS`; none gives an empty scene.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    rules = rules or SceneRules()
    height, width = size_hw
    canvas = background(rng, (width, height), rules.backdrop_share)
    owner = np.zeros(size_hw, np.uint8)
    boxes: list[tuple[int, int, int, int]] = []
    labels: list[int] = []
    count = int(rng.integers(rules.min_objects, rules.max_objects + 1)) if len(concepts) else 0
    for _ in range(count):
        concept = concepts[int(rng.integers(len(concepts)))]
        picture = _posed(rng, concept, min(size_hw), rules)
        corner = _free_corner(rng, picture.size, (width, height), boxes, rules)
        if corner is None:
            continue
        canvas.paste(picture, corner, picture)
        boxes.append(_paint_owner(owner, picture, corner, len(boxes) + 1))
        labels.append(concept)
    canvas = _photographed(rng, canvas, rules)
    return Scene(np.array(canvas), np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), owner)


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


def _posed(rng: Rng, concept: int, short_side: int, rules: SceneRules) -> Image.Image:
    height = max(int(rng.uniform(rules.smallest, rules.largest) * short_side), _MIN_SIDE_PX)
    picture = sprite(concept, height)
    width = max(int(height * picture.width / picture.height * rng.uniform(*rules.stretch)), _MIN_SIDE_PX)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < rules.turned_share:
        picture = picture.rotate(rng.uniform(-25, 25), Image.Resampling.BILINEAR, expand=True)
        picture = picture.crop(picture.getbbox())
    return picture


def _free_corner(
    rng: Rng, size: tuple[int, int], canvas: tuple[int, int], boxes: list[tuple[int, int, int, int]], rules: SceneRules
) -> tuple[int, int] | None:
    cut = 0.3 if rng.random() < rules.cut_share else 0.0
    low = [-int(cut * side) for side in size]
    high = [whole - side - start for whole, side, start in zip(canvas, size, low, strict=True)]
    if high[0] <= low[0] or high[1] <= low[1]:
        return None
    for _ in range(_TRIES):
        x, y = int(rng.integers(low[0], high[0])), int(rng.integers(low[1], high[1]))
        box = (x, y, x + size[0], y + size[1])
        if all(_overlap(box, other) <= rules.max_overlap for other in boxes):
            return x, y
    return None


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _paint_owner(
    owner: NDArray[np.uint8], picture: Image.Image, corner: tuple[int, int], number: int
) -> tuple[int, int, int, int]:
    """Note whose pixels these are; returns the part of the picture's box that lies inside."""
    x, y = corner
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + picture.width, owner.shape[1]), min(y + picture.height, owner.shape[0])
    solid = np.asarray(picture.getchannel("A"))[top - y : bottom - y, left - x : right - x] > 127
    owner[top:bottom, left:right][solid] = number
    return left, top, right, bottom


def _photographed(rng: Rng, canvas: Image.Image, rules: SceneRules) -> Image.Image:
    if rng.random() < rules.light_share:
        gain, offset = rng.uniform(0.65, 1.3), rng.uniform(-30, 30)
        canvas = canvas.point([int(min(max(level * gain + offset, 0), 255)) for level in range(256)] * 3)
    if rng.random() < rules.jpeg_share:
        file = BytesIO()
        canvas.save(file, "JPEG", quality=int(rng.integers(35, 90)))
        canvas = Image.open(file).convert("RGB")
    return canvas
