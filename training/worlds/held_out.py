"""What training never shows and never says, so that it can be measured how far words combine.

A thing is held out by its composition: the starter sees its noun in other colours, its colour on other nouns, and its
texture on other shapes, but never these together.
"""

from functools import cache

from training.worlds.concepts import SHAPE_COLOURS, SHAPES, TEXTURES, THINGS, TINT_COLOURS, TINTED

_TINTED = {noun: number for number, noun in enumerate(dict.fromkeys(concept.noun for concept in TINTED))}


def is_unseen(thing: int) -> bool:
    """Whether `THINGS[thing]` is of a held-out composition: about a fifth of those of each kind."""
    concept = THINGS[thing]
    if concept.tinted or not concept.emoji:
        return is_unseen_composition(concept.noun, concept.colour, concept.texture)
    return False


@cache
def is_unseen_composition(noun: str, colour: str, texture: str = "") -> bool:
    """Whether these words together are held out; empty words are none."""
    if noun in SHAPES:
        return _unseen_shape(noun, colour, texture)
    if colour not in TINT_COLOURS or noun not in _TINTED:
        return False
    return (_TINTED[noun] + 2 * TINT_COLOURS.index(colour)) % 5 == 0


@cache
def unseen_things() -> tuple[int, ...]:
    """Indices into `THINGS` of all held-out compositions."""
    return tuple(index for index in range(len(THINGS)) if is_unseen(index))


def _unseen_shape(shape: str, colour: str, texture: str) -> bool:
    number = SHAPES.index(shape)
    if colour in SHAPE_COLOURS and (number + 2 * list(SHAPE_COLOURS).index(colour)) % 5 == 0:
        return True
    return bool(texture) and (number + TEXTURES.index(texture)) % 7 == 0
