"""What a starter is asked in its measurement: scenes that training can't have shown, prompts, and the right answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annotations.captions import CaptionText
from common.images import ImageRGB
from training.metrics.coco import Labels
from training.worlds.concepts import CONCEPTS, SHAPE_COLOURS, SHAPES, TEXTURES, THINGS, TINTED
from training.worlds.expressions import expressions
from training.worlds.held_out import is_unseen_composition
from training.worlds.nouns import Description, description_of
from training.worlds.relations import TextRules, relation_scene, scene_texts, things_of
from training.worlds.scenes import Scene, SceneRules, render_scene, usual_size_hw

NAMES = 16  # categories of a prompt
SPEED_SIZE_HW = (360, 480)

STREAM = 902_151_217  # training's scenes are drawn from pairs of small numbers, these from four of which this is one
_LONGEST_PX = 480
_CAST = 9  # concepts that a scene is drawn from; most come once, some twice
_RENAMED = 100  # concepts asked for by an unseen synonym: few, so that each is shown often
_KIN_SHOWN = 2  # things in a scene that share the noun with a held-out composition, and as many its colour or texture
_NEAR_ASKED = 7  # of the prompt's names that share the noun, at most; the others share colour or texture
_TINTS_ASKED = 28  # of the held-out ones: as many as there are shapes in a held-out colour
_LARGE_HW = (1200, 1600)
_LARGE_CAST = 12  # concepts that a large scene is drawn from
_MANY_SMALL = SceneRules(min_objects=60, max_objects=100, smallest=0.02, largest=0.1)  # 24 to 120 px
_ANY_SIZE = SceneRules(min_objects=20, max_objects=40, smallest=0.02, largest=0.6)  # 24 to 720 px
_FEW_LARGE = SceneRules(min_objects=1, max_objects=2, smallest=0.4, largest=1.0)
_COMPOSED = SceneRules(min_objects=3, max_objects=7, backdrop_share=0)  # nothing behind that is a shape, too

Rng = np.random.Generator
Kind = Literal["coloured_shape", "textured_shape", "tinted_concept"]


@dataclass(frozen=True)
class Question:
    """A picture, a prompt, and what is right.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        names: of the categories in the prompt, no two of which can be said of one thing.
        labels: `classes` index `names`.
    """

    image: ImageRGB
    names: tuple[str, ...]
    labels: Labels


@dataclass(frozen=True)
class Referred:
    """An expression that means one thing of a picture: its kind, and (1, 4) pixels of the thing."""

    text: str
    kind: str
    box_xyxy: NDArray[np.float32]


def by_name(seed: int, count: int) -> Iterator[Question]:
    """Scenes of concepts, all of which the prompt names beside absent ones, by their own names.

    Concepts are dealt like cards, so that each is shown about as often as any other.
    """
    return _concept_questions(seed, 1, count, range(len(CONCEPTS)), lambda concept: CONCEPTS[concept].name)


def by_unseen_synonym(seed: int, count: int) -> Iterator[Question]:
    """As `by_name`, of some concepts drawn by the seed, each called by the synonym that training never says."""
    renamed = [index for index, concept in enumerate(CONCEPTS) if concept.unseen and concept.unseen not in _said()]
    drawn = sorted(_rng(seed, 2, 0).permutation(renamed)[:_RENAMED].tolist())
    return _concept_questions(seed, 14, count, drawn, lambda concept: CONCEPTS[concept].unseen)


def by_name_of_large_things(seed: int, count: int) -> Iterator[Question]:
    """As `by_name`, with one or two things as people photograph them: 0.4 to 1.0 of the shorter side."""
    return _concept_questions(seed, 13, count, range(len(CONCEPTS)), lambda thing: CONCEPTS[thing].name, _FEW_LARGE, 2)


def in_vain(seed: int, count: int) -> Iterator[Question]:
    """Scenes of concepts with prompts that name only others."""
    for rng, scene in _concept_scenes(seed, 3, count, range(len(CONCEPTS))):
        absent = np.setdiff1d(np.arange(len(CONCEPTS)), scene.labels)
        asked = rng.permutation(absent)[:NAMES].tolist()
        yield Question(scene.image, tuple(CONCEPTS[concept].name for concept in asked), _nothing())


def by_every_name(seed: int, count: int) -> Iterator[Question]:
    """Scenes of concepts with all concepts in the prompt, which a detector reads in several parts."""
    names = tuple(concept.name for concept in CONCEPTS)
    for _, scene in _concept_scenes(seed, 4, count, range(len(CONCEPTS))):
        yield Question(scene.image, names, Labels(scene.boxes_xyxy, scene.labels))


def by_vocabulary(seed: int, count: int, names: Sequence[str]) -> Iterator[Question]:
    """Scenes of concepts with all of `names` in the prompt, of which the first are the concepts' own."""
    for _, scene in _concept_scenes(seed, 12, count, range(len(CONCEPTS))):
        yield Question(scene.image, tuple(names), Labels(scene.boxes_xyxy, scene.labels))


def by_composition(seed: int, count: int) -> Iterator[Question]:
    """Scenes with a held-out composition among its kin: its noun in other colours or textures, its own on other nouns.

    The prompt names what is shown and more of the kin that is not.
    """
    asked = list(held_out_names(seed))
    for index, target in enumerate(_dealt(_rng(seed, 5, 0), range(len(asked)), count)):
        yield _composition(_rng(seed, 5, index + 1), asked[target])


def held_out_names(seed: int) -> dict[Description, Kind]:
    """The compositions that `by_composition` is about: all shapes held out, and as many tints, drawn by the seed."""
    held_out = {kind: [said for said in all_ if _is_held_out(said)] for kind, all_ in _compositions().items()}
    held_out["tinted_concept"] = _drawn(_rng(seed, 6, 0), held_out["tinted_concept"])[:_TINTS_ASKED]
    return {said: kind for kind, some in held_out.items() for said in some}


def is_held_out(name: str) -> bool:
    """Whether a composition of this name is never shown in training."""
    return name in _held_out_texts()


def referring(seed: int, count: int, texts: int) -> Iterator[tuple[ImageRGB, list[Referred]]]:
    """Scenes of which much can be said, each with up to `texts` expressions that mean exactly one thing of it."""
    rules = TextRules(captions=0, expressions=texts, absent_share=0.0)
    for index in range(count):
        rng = _rng(seed, 7, index)
        scene = relation_scene(rng, usual_size_hw(rng, _LONGEST_PX))
        things = things_of(scene)
        kinds = {one.text: one.kind for one in expressions(things, ()) if one.thing is not None}
        found = [
            Referred(text.text, kinds[text.text], text.phrases[0].boxes_xyxy)
            for text in scene_texts(rng, things, rules)
            if text.text in kinds
        ]
        yield scene.image, found


def captioned(seed: int, count: int) -> Iterator[tuple[ImageRGB, CaptionText]]:
    """Scenes, each with a caption of several phrases, all of which mean something on it."""
    rules = TextRules(captions=1, expressions=0, absent_share=0.0)
    for index in range(count):
        rng = _rng(seed, 9, index)
        while True:
            scene = relation_scene(rng, usual_size_hw(rng, _LONGEST_PX))
            texts = [text for text in scene_texts(rng, things_of(scene), rules) if len(text.phrases) > 1]
            if texts:
                break
        yield scene.image, texts[0]


def small_on_large(seed: int, count: int) -> Iterator[Question]:
    """Scenes of 1600 x 1200 px with 60 to 100 things of 24 to 120 px, most of them several times."""
    return _large(seed, 10, count, _MANY_SMALL)


def any_size_on_large(seed: int, count: int) -> Iterator[Question]:
    """Scenes of 1600 x 1200 px with up to 40 things of 24 to 720 px: the largest fit into no tile."""
    return _large(seed, 11, count, _ANY_SIZE)


def of_one_size(seed: int, count: int) -> Iterator[Question]:
    """Scenes of 480 x 360 px with prompts of 16 names, to take the time on."""
    for index in range(count):
        rng = _rng(seed, 8, index)
        cast = rng.permutation(len(CONCEPTS))[:NAMES].tolist()
        scene = render_scene(rng, SPEED_SIZE_HW, cast[:_CAST])
        yield _asked(rng, scene, cast, [CONCEPTS[concept].name for concept in cast])


def _large(seed: int, part: int, count: int, rules: SceneRules) -> Iterator[Question]:
    for index in range(count):
        rng = _rng(seed, part, index)
        cast = rng.permutation(len(CONCEPTS))[:NAMES].tolist()
        scene = render_scene(rng, _LARGE_HW, cast[:_LARGE_CAST], rules)
        yield _asked(rng, scene, cast, [CONCEPTS[concept].name for concept in cast])


def _rng(seed: int, part: int, index: int) -> Rng:
    return np.random.default_rng((STREAM, seed, part, index))


def _dealt(rng: Rng, cards: Sequence[int], count: int) -> Iterator[int]:
    """So many of the cards, each dealt once before any is dealt again."""

    def endless() -> Iterator[int]:
        while True:
            yield from rng.permutation(np.array(cards)).tolist()

    return islice(endless(), count)


def _concept_questions(
    seed: int,
    part: int,
    count: int,
    concepts: Sequence[int],
    name_of: Callable[[int], str],
    rules: SceneRules | None = None,
    cast: int = _CAST,
) -> Iterator[Question]:
    for rng, scene in _concept_scenes(seed, part, count, concepts, rules, cast):
        shown = np.unique(scene.labels)
        absent = rng.permutation(np.setdiff1d(concepts, shown))[: NAMES - len(shown)]
        asked = [*shown.tolist(), *absent.tolist()]
        yield _asked(rng, scene, asked, [name_of(concept) for concept in asked])


def _concept_scenes(
    seed: int, part: int, count: int, concepts: Sequence[int], rules: SceneRules | None = None, cast: int = _CAST
) -> Iterator[tuple[Rng, Scene]]:
    cards = _dealt(_rng(seed, part, 0), concepts, count * cast)
    for index in range(count):
        rng = _rng(seed, part, index + 1)
        yield rng, render_scene(rng, usual_size_hw(rng, _LONGEST_PX), list(islice(cards, cast)), rules)


def _asked(rng: Rng, scene: Scene, things: Sequence[int], names: Sequence[str]) -> Question:
    """The question for these things by these names, in a random order."""
    order = rng.permutation(len(things)).tolist()
    place = {things[index]: number for number, index in enumerate(order)}
    classes = np.array([place[label] for label in scene.labels.tolist()], np.int64)
    return Question(scene.image, tuple(names[index] for index in order), Labels(scene.boxes_xyxy, classes))


def _nothing() -> Labels:
    return Labels(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


def _composition(rng: Rng, target: Description) -> Question:
    """A scene of a composition and some kin, all of one kind, so that no two names fit one thing."""
    same_noun = [said for said in _alike(target) if said.noun == target.noun and said != target]
    same_look = [said for said in _alike(target) if said.noun != target.noun and _look(said) == _look(target)]
    near, far = _drawn(rng, same_noun), _drawn(rng, same_look)
    shown = [target, *near[:_KIN_SHOWN], *far[:_KIN_SHOWN]]
    names = [*shown, *near[_KIN_SHOWN:_NEAR_ASKED], *far[_KIN_SHOWN:]][:NAMES]
    things = [_thing(rng, said) for said in (target, *shown)]  # the target twice: it is what is measured
    scene = render_scene(rng, usual_size_hw(rng, _LONGEST_PX), things, _COMPOSED)
    order = _drawn(rng, names)
    classes = [_place(order, description_of(label)) for label in scene.labels.tolist()]
    labels = Labels(scene.boxes_xyxy, np.array(classes, np.int64))
    return Question(scene.image, tuple(said.singular for said in order), labels)


def _look(said: Description) -> tuple[str, str]:
    return said.colour, said.texture


def _drawn(rng: Rng, said: Sequence[Description]) -> list[Description]:
    return [said[index] for index in rng.permutation(len(said)).tolist()]


def _place(names: Sequence[Description], thing: Description) -> int:
    (found,) = [place for place, said in enumerate(names) if said.fits(thing)]
    return found


def _is_held_out(said: Description) -> bool:
    return is_unseen_composition(said.noun, said.colour, said.texture)


@cache
def _said() -> frozenset[str]:
    """Colours and nouns of all things: sentences say "red tomato", and "yellow pencil" means one of many colours."""
    told = (description_of(thing).singular for thing in range(len(THINGS)))
    return frozenset(told) | {thing.name for thing in THINGS}


@cache
def _held_out_texts() -> frozenset[str]:
    return frozenset(said.singular for some in _compositions().values() for said in some if _is_held_out(said))


def _alike(said: Description) -> Sequence[Description]:
    """All compositions of its kind."""
    if said.texture:
        return _compositions()["textured_shape"]
    return _compositions()["coloured_shape" if said.noun in SHAPES else "tinted_concept"]


@cache
def _compositions() -> dict[Kind, tuple[Description, ...]]:
    return {
        "coloured_shape": tuple(Description(shape, colour) for shape in SHAPES for colour in SHAPE_COLOURS),
        "textured_shape": tuple(Description(shape, texture=texture) for shape in SHAPES for texture in TEXTURES),
        "tinted_concept": tuple(Description(concept.noun, concept.colour) for concept in TINTED),
    }


def _thing(rng: Rng, said: Description) -> int:
    """A thing that is described so: of a textured shape in any colour, of the others the only one."""
    things = _by_description()[said]
    return things[rng.integers(len(things))]


@cache
def _by_description() -> dict[Description, list[int]]:
    """The things that compositions are shown by; emojis in their own colours are none."""
    first_shape = next(index for index, concept in enumerate(THINGS) if not concept.emoji)
    found: dict[Description, list[int]] = {}
    for index in range(first_shape, len(THINGS)):
        own = description_of(index)
        said = Description(own.noun, texture=own.texture) if own.texture else own
        found.setdefault(said, []).append(index)
    return found
