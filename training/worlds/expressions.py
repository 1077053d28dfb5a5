"""Expressions that mean exactly one thing of a scene, or truly none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from training.worlds.held_out import is_unseen_composition
from training.worlds.nouns import NUMBERS, Description
from training.worlds.places import Relation, Side, Size, Thing, of_size, outermost, stands

Kind = Literal["name", "side", "size", "relation"]

_SUPERLATIVES: dict[Size, str] = {"larger": "largest", "smaller": "smallest"}


@dataclass(frozen=True)
class Expression:
    """Some words, and the one thing they mean; None: nothing in the picture."""

    text: str
    kind: Kind
    thing: Thing | None


def expressions(things: Sequence[Thing], absent: Sequence[Description]) -> list[Expression]:
    """All that can be said beyond doubt, in a fixed order.

    Args:
        things: everything in the picture.
        absent: descriptions of things that are not in it, to be named in vain.
    """
    known = sorted({said for thing in things for said in _said_of(thing)})
    missing = [*absent, *_other_colours(things)]
    return [
        *_by_name(things, known, missing),
        *_by_side(things, known),
        *_by_size(things, known),
        *_by_relation(things, known, missing),
    ]


def fitting(description: Description, things: Sequence[Thing]) -> list[Thing]:
    """The things that a description can be said of."""
    return [thing for thing in things if description.fits(thing.description)]


def _said_of(thing: Thing) -> Iterator[Description]:
    full = thing.description
    yield Description(full.noun)
    yield Description(full.noun, full.colour)
    yield Description(full.noun, texture=full.texture)
    yield full


def _other_colours(things: Sequence[Thing]) -> Iterator[Description]:
    """Colours of the picture, on nouns of the picture that don't have them here though they might."""
    colours = sorted({thing.description.colour for thing in things} - {""})
    nouns = sorted({thing.description.noun for thing in things if thing.description.colour})
    for noun in nouns:
        for colour in colours:
            if not fitting(Description(noun, colour), things) and not is_unseen_composition(noun, colour):
                yield Description(noun, colour)


def _by_name(
    things: Sequence[Thing], known: Sequence[Description], missing: Sequence[Description]
) -> Iterator[Expression]:
    for said in known:
        found = fitting(said, things)
        if len(found) == 1:
            yield Expression(f"the {said.singular}", "name", found[0])
    for said in missing:
        yield Expression(f"the {said.singular}", "name", None)


def _by_side(things: Sequence[Thing], known: Sequence[Description]) -> Iterator[Expression]:
    sides: tuple[Side, ...] = get_args(Side)
    for said in known:
        found = fitting(said, things)
        for side in sides if len(found) > 1 else ():
            if (thing := outermost(side, found)) is not None:
                yield Expression(f"the {side} {said.singular}", "side", thing)
                if len(found) in NUMBERS:
                    yield Expression(f"the {side} of the {NUMBERS[len(found)]} {said.plural}", "side", thing)


def _by_size(things: Sequence[Thing], known: Sequence[Description]) -> Iterator[Expression]:
    sizes: tuple[Size, ...] = get_args(Size)
    for said in known:
        found = fitting(said, things)
        for size in sizes if len(found) > 1 else ():
            if (thing := of_size(size, found)) is None:
                continue
            word = size if len(found) == 2 else _SUPERLATIVES[size]
            yield Expression(f"the {word} {said.singular}", "size", thing)
            if len(found) in NUMBERS:
                yield Expression(f"the {word} of the {NUMBERS[len(found)]} {said.plural}", "size", thing)


def _by_relation(
    things: Sequence[Thing], known: Sequence[Description], missing: Sequence[Description]
) -> Iterator[Expression]:
    relations: tuple[Relation, ...] = get_args(Relation)
    anchors = [said for said in known if len(fitting(said, things)) == 1]
    for said in known:
        for anchor in anchors:
            if _are_apart(said, anchor):
                for relation in relations:
                    yield from _related(things, said, relation, anchor)
    for nothing in missing:
        for present in anchors:
            if _are_apart(nothing, present):
                for relation in relations:
                    yield Expression(f"the {nothing.singular} {relation} the {present.singular}", "relation", None)
                    yield Expression(f"the {present.singular} {relation} the {nothing.singular}", "relation", None)


def _are_apart(one: Description, other: Description) -> bool:
    """Whether no thing could be meant by both: "the circle left of the red circle" is a riddle."""
    return one.noun != other.noun or ("" not in (one.colour, other.colour) and one.colour != other.colour)


def _related(
    things: Sequence[Thing], said: Description, relation: Relation, anchor: Description
) -> Iterator[Expression]:
    """The expression, if each thing it could mean clearly does or clearly does not stand so."""
    other = fitting(anchor, things)[0]
    candidates = fitting(said, things)
    truths = [stands(relation, thing, other) for thing in candidates]
    if None in truths or sum(map(bool, truths)) > 1:
        return
    thing = candidates[truths.index(True)] if True in truths else None
    yield Expression(f"the {said.singular} {relation} the {anchor.singular}", "relation", thing)
