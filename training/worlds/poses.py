"""One thing as it will stand in a scene: of some size, turned, in some light."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.concepts import THINGS, Concept
from training.worlds.matter import bent, clad, softened
from training.worlds.rules import SceneRules
from training.worlds.shapes import shape_masks
from training.worlds.sprites import Picture, halved, shape_halvings, sprite
from training.worlds.surfaces import grained, lit, patterned
from training.worlds.textures import Rng, happens

_SMALLEST_PX = 8
_SHAPE_STRETCH = (0.92, 1.08)  # no circle must become an oval
_TURN = 25.0  # degrees either way
_SHAPE_TURNS = {"square": 8.0, "diamond": 8.0, "cross": 8.0}  # more would make them each other
_SHAPE_TURN = 20.0
_UPRIGHT_SHARE = 0.5
_UPRIGHT_TOO = frozenset(("oval", "rectangle", "arrow"))  # are what they are on their side, too


@dataclass(frozen=True)
class Posed:
    """A thing ready to be put into a picture.

    Attributes:
        picture: (H, W, 4) uint8 RGBA, colours multiplied by alpha.
        solid_xyxy: the box within it of all pixels that hide more than half of what is behind them.
    """

    picture: Picture
    solid_xyxy: tuple[int, int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the box."""
        x1, y1, x2, y2 = self.solid_xyxy
        return x2 - x1, y2 - y1


def posed(rng: Rng, thing: int, short_side: int, rules: SceneRules) -> Posed:
    """`THINGS[thing]` for a picture whose shorter side has so many pixels.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    concept = THINGS[thing]
    side = max(rng.uniform(rules.smallest, rules.largest) * short_side, _SMALLEST_PX)
    picture = sprite(thing, math.ceil(side))
    if concept.texture:
        inner = halved(shape_masks(concept.noun)[1], shape_halvings(concept.noun, math.ceil(side)))
        picture = patterned(rng, picture, inner, concept.texture)
    picture = _warped(picture, _matrix(rng, concept, picture.shape, side, rules))
    if concept.emoji and happens(rng, rules.bent_share):
        picture = bent(rng, picture)
    if rng.random() < rules.light_share:
        picture = lit(rng, picture, recolour=bool(concept.emoji) and not concept.tinted)
    if rng.random() < rules.surface_share:
        picture = grained(rng, picture)
    if concept.emoji and happens(rng, rules.clad_share):
        picture = clad(rng, picture)
    if happens(rng, rules.soft_share):
        picture = softened(rng, picture)
    return Posed(picture, solid_box(cv2.extractChannel(picture, 3)))


def solid_box(alpha: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The box x1, y1, x2, y2 of the values above 127; all 0 where there is none."""
    _, solid = cv2.threshold(alpha, 127, 255, cv2.THRESH_BINARY)
    x, y, width, height = cv2.boundingRect(solid)
    return x, y, x + width, y + height


def _matrix(rng: Rng, concept: Concept, shape: tuple[int, ...], side: float, rules: SceneRules) -> NDArray[np.float64]:
    """(2, 2) that makes a sprite of `shape` as large as a square of `side`, stretched, flipped, slanted and turned."""
    scale = side / math.sqrt(shape[0] * shape[1])
    wider, slant, turn = rng.uniform(*rules.stretch), 0.0, 0.0
    if not concept.emoji:
        wider = min(max(wider, _SHAPE_STRETCH[0]), _SHAPE_STRETCH[1])
    flip = -1 if rng.random() < 0.5 else 1
    if rng.random() < rules.turned_share:
        most = _TURN if concept.emoji else _SHAPE_TURNS.get(concept.noun, _SHAPE_TURN)
        turn = math.radians(rng.uniform(-most, most))
        slant = rng.uniform(-0.12, 0.12) if concept.emoji else 0.0
    matrix = np.array([(flip * scale * wider, slant * scale), (0.0, scale)])
    if not concept.emoji and concept.noun in _UPRIGHT_TOO and rng.random() < _UPRIGHT_SHARE:
        turn += math.pi / 2 if rng.random() < 0.5 else -math.pi / 2
    cosine, sine = math.cos(turn), math.sin(turn)
    result: NDArray[np.float64] = np.array([(cosine, -sine), (sine, cosine)]) @ matrix
    return result


def _warped(picture: Picture, matrix: NDArray[np.float64]) -> Picture:
    """The picture under a linear map, on a canvas that holds all of it and its soft edge."""
    height, width = picture.shape[:2]
    corners = matrix @ np.array([(0, width, 0, width), (0, 0, height, height)], np.float64)  # (2, 4)
    edge = np.ceil(np.abs(matrix).sum(1) / 2)  # (2,) half a pixel of the sprite
    low, high = np.floor(corners.min(1)) - edge, np.ceil(corners.max(1)) + edge
    # OpenCV counts from the centres of pixels: x there is x + 1/2 here.
    shift = matrix @ np.array([0.5, 0.5]) - low - 0.5
    columns, rows = (high - low).astype(int).tolist()
    warped: Picture = cv2.warpAffine(picture, np.column_stack([matrix, shift]), (columns, rows), flags=cv2.INTER_LINEAR)
    return warped
