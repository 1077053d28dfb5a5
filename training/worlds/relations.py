"""Rendered scenes with captions and referring expressions that are true of them by construction."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from annotations.captions import CaptionText, expression
from training.worlds.concepts import COLOURED_SHAPES, CONCEPTS, SHAPE_COLOURS, SHAPES, TEXTURES, THINGS, TINTED
from training.worlds.expressions import Expression, Kind, expressions
from training.worlds.held_out import is_unseen
from training.worlds.nouns import TOLD_CONCEPTS, TOLD_SHAPES, Description, description_of
from training.worlds.places import Thing
from training.worlds.scenes import Scene, SceneRules, render_scene, usual_size_hw
from training.worlds.sentences import listing, placing
from training.worlds.textures import Rng

RELATION_RULES = SceneRules(
    min_objects=2,
    max_objects=6,
    smallest=0.14,
    largest=0.4,
    stretch=(1.0, 1.0),  # a square stays one
    max_overlap=0.05,
    cut_share=0,  # a thing that is half outside has no place
    turned_share=0,  # a turned thing's box is larger than the thing
    backdrop_share=0,  # "the square" must not be one of them
    light_share=0,  # colours are spoken of
)
_STREAM = 1  # keeps these scenes apart from those of `numbered_scene`
_TINTED_SHARE = 0.2  # concepts shown in other colours than their own, where there are such
_TEXTURED_SHARE = 0.25  # shapes shown with a texture
_ABSENT_NAMES = 3  # nouns that are nowhere in the picture, to be asked for in vain


@dataclass(frozen=True)
class TextRules:
    """How much is said of a scene."""

    captions: int = 2  # most; fewer where little is clear
    expressions: int = 6  # most
    absent_share: float = 0.2  # of the expressions mean nothing in the picture
    kinds: tuple[Kind, ...] = ("name", "relation", "side", "size")  # one that stands here twice is drawn twice as often


@dataclass(frozen=True)
class CaptionedScene:
    """A scene and the texts about it."""

    scene: Scene
    captions: tuple[CaptionText, ...]


def numbered_relation_scene(
    seed: int, index: int, *, longest_px: int = 480, texts: TextRules | None = None
) -> tuple[NDArray[np.uint8], tuple[CaptionText, ...]]:
    """Picture (H, W, 3) number `index` of the endless row that `seed` names, with the texts about it; no files.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    captioned = captioned_scene(seed, index, longest_px=longest_px, texts=texts)
    return captioned.scene.image, captioned.captions


def captioned_scene(
    seed: int, index: int, *, longest_px: int = 480, rules: SceneRules | None = None, texts: TextRules | None = None
) -> CaptionedScene:
    """Scene number `index` of the endless row that `seed` names, with its boxes and texts.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    rng = np.random.default_rng((seed, index, _STREAM))
    scene = relation_scene(rng, usual_size_hw(rng, longest_px), rules)
    return CaptionedScene(scene, tuple(scene_texts(rng, things_of(scene), texts)))


def relation_scene(rng: Rng, size_hw: tuple[int, int], rules: SceneRules | None = None) -> Scene:
    """A scene of a few kinds of things of which much can be said, without held-out compositions.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    return render_scene(rng, size_hw, _cast(rng), rules or RELATION_RULES)


def things_of(scene: Scene) -> list[Thing]:
    """What sentences can speak of in a scene, in its order."""
    boxes = [(x1, y1, x2, y2) for x1, y1, x2, y2 in scene.boxes_xyxy.astype(np.float64).tolist()]
    return [Thing(description_of(label), box) for label, box in zip(scene.labels.tolist(), boxes, strict=True)]


def scene_texts(rng: Rng, things: Sequence[Thing], texts: TextRules | None = None) -> list[CaptionText]:
    """Captions, then expressions about these things, fully decided by the state of `rng`; no text twice."""
    texts = texts or TextRules()
    found: dict[str, CaptionText] = {}
    for place in range(texts.captions):
        caption = (listing if place % 2 == 0 else placing)(rng, things)
        if caption is not None:
            found.setdefault(caption.text, caption)
    said = expressions(things, _absent(rng, things))
    absent = min(int(rng.binomial(texts.expressions, texts.absent_share)), texts.expressions)
    for is_there, count in ((True, texts.expressions - absent), (False, absent)):
        for chosen in _drawn(rng, [one for one in said if (one.thing is not None) is is_there], count, texts.kinds):
            boxes = np.array([] if chosen.thing is None else [chosen.thing.box], np.float32).reshape(-1, 4)
            found.setdefault(chosen.text, expression(chosen.text, boxes))
    return list(found.values())


def _cast(rng: Rng) -> list[int]:
    """The few things a scene is made of: few, so that some come twice, and in colours to tell them by."""
    cast: list[int] = []
    for concept in rng.choice(TOLD_CONCEPTS, int(rng.integers(1, 4)), replace=False).tolist():
        tints = _tints()[concept] if rng.random() < _TINTED_SHARE else ()
        cast += rng.permutation(tints)[: rng.integers(1, 4)].tolist() if tints else [concept]
    for shape in rng.choice(len(SHAPES), int(rng.integers(0, 3)), replace=False).tolist():
        start = TOLD_SHAPES[shape * len(SHAPE_COLOURS)]
        if rng.random() < _TEXTURED_SHARE:
            start += len(COLOURED_SHAPES) * int(rng.integers(1, len(TEXTURES) + 1))
        looks = [thing for thing in range(start, start + len(SHAPE_COLOURS)) if not is_unseen(thing)]
        cast += rng.permutation(looks)[: rng.integers(1, 4)].tolist()
    return cast


@cache
def _tints() -> dict[int, tuple[int, ...]]:
    """The tints of each told concept that training shows, by the concept's index."""
    first = len(THINGS) - len(TINTED)
    by_noun: dict[str, list[int]] = {}
    for thing in range(first, len(THINGS)):
        if not is_unseen(thing):
            by_noun.setdefault(THINGS[thing].noun, []).append(thing)
    return {concept: tuple(by_noun.get(CONCEPTS[concept].noun, ())) for concept in TOLD_CONCEPTS}


def _absent(rng: Rng, things: Sequence[Thing]) -> list[Description]:
    """Some nouns that nothing in the picture has."""
    present = {thing.description.noun for thing in things}
    nouns = sorted({description_of(thing).noun for thing in (*TOLD_CONCEPTS, *TOLD_SHAPES)} - present)
    return [Description(str(noun)) for noun in rng.choice(nouns, _ABSENT_NAMES, replace=False)]


def _drawn(rng: Rng, said: Sequence[Expression], count: int, kinds: Sequence[Kind]) -> list[Expression]:
    """Some of the expressions, of each kind as often as it is named, though relations can be told in many more ways."""
    by_kind: dict[Kind, list[Expression]] = {}
    for one in said:
        if one.kind in kinds:
            by_kind.setdefault(one.kind, []).append(one)
    drawn: list[Expression] = []
    while by_kind and len(drawn) < count:
        left = [kind for kind in kinds if kind in by_kind]
        kind = left[rng.integers(len(left))]
        drawn.append(by_kind[kind].pop(int(rng.integers(len(by_kind[kind])))))
        if not by_kind[kind]:
            del by_kind[kind]
    return drawn
