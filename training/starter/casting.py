"""What is asked for in a batch of scenes, and which things may then be shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from training.starter.lookalikes import look_alikes, practice
from training.worlds.concepts import CONCEPTS, SHAPE_COLOURS, SHAPES, TEXTURES, THINGS, TINT_COLOURS, UNTAUGHT
from training.worlds.held_out import is_unseen, is_unseen_composition
from training.worlds.nouns import NUMBERS, Description, counted, with_article
from training.worlds.textures import Rng


@dataclass(frozen=True)
class Phrase:
    """Some words of a prompt and the things they can be said of, indices into `THINGS`; none: nobody knows them."""

    text: str
    things: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cast:
    """The phrases of a prompt, of which no two fit one thing, and what the scenes may show beside what they name.

    Attributes:
        phrases: in no order.
        others: things that no phrase fits beyond doubt.
        rivals: those of `others` that share a noun with a phrase, the same shape in another colour, and those that are
            taken for a concept that a phrase names.
    """

    phrases: tuple[Phrase, ...]
    others: tuple[int, ...]
    rivals: tuple[int, ...]


@dataclass(frozen=True)
class CastRules:
    """How phrases are drawn; shares are probabilities."""

    shape_share: float = 0.15  # nouns that are shapes
    coloured_share: float = 0.8  # shapes that are asked for by colour or texture
    tinted_share: float = 0.15  # concepts asked for in other colours than their own
    synonym_share: float = 0.25  # concepts called by a synonym where they have one
    alike_share: float = 0.0  # concepts that bring look-alikes of theirs with them
    practise: bool = False  # draw more often what is known less, see `training.starter.lookalikes.practice`
    spoken_share: float = 0.3  # phrases said as in a sentence, "a cat", "the cat" or "two cats", where that can be


def draw_cast(rng: Rng, names: int, rules: CastRules) -> Cast:
    """About `names` phrases of concepts and shapes that training shows; each noun once, in one or several looks."""
    shapes = min(int(rng.binomial(names, rules.shape_share)), len(SHAPES))
    phrases: list[Phrase] = []
    doubtful: set[int] = set()  # natural things of nouns that a phrase names in a colour
    chosen: list[str] = rng.permutation(np.array(SHAPES))[:shapes].tolist()
    for shape in chosen:
        phrases += _shape_phrases(rng, shape, rules)
    for index in _concepts(rng, names - shapes, rules):
        if CONCEPTS[index].noun in chosen:  # there is an emoji of a star
            continue
        tints = _tints(CONCEPTS[index].noun) if rng.random() < rules.tinted_share else ()
        if tints:
            phrases += [
                _phrase(rng, Description(CONCEPTS[index].noun, colour), rules) for colour in _some(rng, tints, 3)
            ]
            doubtful.add(index)
        else:
            phrases.append(_concept_phrase(rng, index, rules))
    named = {thing for phrase in phrases for thing in phrase.things}
    others = tuple(thing for thing in _shown() if thing not in named and thing not in doubtful)
    nouns = {THINGS[thing].noun for thing in named}
    taken = {thing for thing, alikes in enumerate(look_alikes()) if not named.isdisjoint(alikes)}
    rivals = tuple(thing for thing in others if thing in taken or THINGS[thing].noun in nouns)
    return Cast(tuple(phrases), others, rivals)


def _concepts(rng: Rng, count: int, rules: CastRules) -> list[int]:
    """So many different concepts; some are followed by one or two that they are taken for."""
    chosen: dict[int, None] = {}
    for index in _order(rng, rules):
        if len(chosen) >= count:
            break
        chosen[index] = None
        if rng.random() < rules.alike_share:
            chosen |= dict.fromkeys(rng.permutation(look_alikes()[index])[: rng.integers(1, 3)].tolist())
    return list(chosen)[:count]


def _order(rng: Rng, rules: CastRules) -> list[int]:
    """All concepts as they are drawn one after the other, likelier ones first where they are to be practised."""
    if not rules.practise:
        order: list[int] = rng.permutation(len(CONCEPTS)).tolist()
    else:  # the first of exponential times at these rates is drawn with their shares as probabilities
        order = np.argsort(rng.exponential(size=len(CONCEPTS)) / practice()).tolist()
    return order


def _shape_phrases(rng: Rng, shape: str, rules: CastRules) -> list[Phrase]:
    """All of a shape, or some colours of it, or some textures, or some textures of some colours."""
    if rng.random() >= rules.coloured_share:
        return [_phrase(rng, Description(shape), rules)]
    colours = [colour for colour in SHAPE_COLOURS if not is_unseen_composition(shape, colour)]
    textures = [texture for texture in TEXTURES if not is_unseen_composition(shape, "", texture)]
    kind = rng.random()
    if kind < 0.6:
        return [_phrase(rng, Description(shape, colour), rules) for colour in _some(rng, colours, 4)]
    if kind < 0.8:
        return [_phrase(rng, Description(shape, texture=texture), rules) for texture in _some(rng, textures, 2)]
    return [
        _phrase(rng, Description(shape, colour, texture), rules)
        for colour in _some(rng, colours, 2)
        for texture in _some(rng, textures, 2)
    ]


def _concept_phrase(rng: Rng, index: int, rules: CastRules) -> Phrase:
    concept = CONCEPTS[index]
    things = _fitting(Description(concept.noun, concept.colour if concept.name != concept.noun else ""))
    if concept.synonyms and rng.random() < rules.synonym_share:
        return Phrase(concept.synonyms[rng.integers(len(concept.synonyms))], things)
    if not concept.told:
        return Phrase(concept.name, things)
    said = Description(concept.noun, concept.colour if concept.name != concept.noun else "")
    return Phrase(_spoken(rng, said, rules), things)


def _phrase(rng: Rng, description: Description, rules: CastRules) -> Phrase:
    return Phrase(_spoken(rng, description, rules), _fitting(description))


def _spoken(rng: Rng, description: Description, rules: CastRules) -> str:
    """The plain words, or "a red circle", "the red circle", "red circles" or "two red circles"."""
    if rng.random() >= rules.spoken_share:
        return description.singular
    number = int(rng.choice(list(NUMBERS)))
    ways = (
        with_article(description.singular),
        f"the {description.singular}",
        description.plural,
        counted(description, number),
    )
    return ways[rng.integers(len(ways))]


def _some(rng: Rng, choices: Sequence[str], most: int) -> list[str]:
    found: list[str] = rng.permutation(np.array(choices))[: rng.integers(1, most + 1)].tolist()
    return found


@cache
def _tints(noun: str) -> tuple[str, ...]:
    """The colours in which training shows a concept that is tinted."""
    return tuple(
        colour
        for colour in TINT_COLOURS
        if not is_unseen_composition(noun, colour)
        and any(THINGS[thing].tinted for thing in _fitting(Description(noun, colour)))
    )


@cache
def _fitting(description: Description) -> tuple[int, ...]:
    """The things training shows that a description can be said of."""
    return tuple(
        thing
        for thing in _of_noun().get(description.noun, ())
        if description.fits(Description(THINGS[thing].noun, THINGS[thing].colour, THINGS[thing].texture))
    )


@cache
def _of_noun() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for thing in _shown():
        found.setdefault(THINGS[thing].noun, []).append(thing)
    return found


@cache
def _shown() -> tuple[int, ...]:
    """All things that training shows."""
    untaught = range(len(CONCEPTS), len(CONCEPTS) + len(UNTAUGHT))
    return tuple(thing for thing in range(len(THINGS)) if thing not in untaught and not is_unseen(thing))
