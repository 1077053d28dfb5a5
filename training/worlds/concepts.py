"""The things that scenes are made of: emojis in their own colours and in others, and coloured shapes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

SHAPES = (
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "diamond",
    "pentagon",
    "hexagon",
    "cross",
    "ring",
    "crescent",
    "arrow",
    "oval",
    "rectangle",
)
SHAPE_COLOURS = {  # far enough apart to be told apart in any light; RGB
    "red": (215, 35, 35),
    "orange": (245, 140, 25),
    "yellow": (245, 220, 40),
    "green": (35, 150, 60),
    "blue": (40, 85, 215),
    "purple": (130, 45, 160),
    "pink": (250, 130, 190),
    "brown": (125, 75, 35),
    "black": (25, 25, 25),
    "white": (240, 240, 240),
}
TEXTURES = ("striped", "spotted", "checkered")
TINT_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")


@dataclass(frozen=True)
class Concept:
    """One kind of thing.

    Attributes:
        name: what it is called in prompts and datasets.
        emoji: the character that the font draws it with; empty for a shape.
        synonyms: other names that mean the same thing and no other concept here.
        unseen: one more such name, which training never shows; empty: none.
        noun: the name without its colour and texture.
        colour: said of it beyond doubt; empty: it has several, or one that nobody speaks of.
        texture: of a shape; empty: plain.
        plural: of the noun; empty: regular.
        told: whether sentences can speak of one and of several, and mean nothing else here.
        tinted: whether the emoji is shown in `colour` instead of its own.
    """

    name: str
    emoji: str = ""
    synonyms: tuple[str, ...] = ()
    unseen: str = ""
    noun: str = ""
    colour: str = ""
    texture: str = ""
    plural: str = ""
    told: bool = True
    tinted: bool = False


def _read(table: Path) -> Iterator[Concept]:
    _, *rows = table.read_text(encoding="utf-8").splitlines()
    for row in rows:
        emoji, name, synonyms, unseen, plural, colour, _, told = row.split("\t")
        yield Concept(
            name=name,
            emoji=emoji,
            synonyms=tuple(synonyms.split(" | ")) if synonyms else (),
            unseen=unseen,
            noun=name.removeprefix(f"{colour} ") if colour else name,
            colour=colour,
            plural=plural,
            told=told == "yes",
        )


def _tinted(concept: Concept) -> Iterator[Concept]:
    for colour in TINT_COLOURS:
        if colour != concept.colour:
            yield replace(concept, name=f"{colour} {concept.noun}", synonyms=(), unseen="", colour=colour, tinted=True)


CONCEPTS: tuple[Concept, ...] = tuple(_read(Path(__file__).with_name("concepts.tsv")))
"""What the starter knows by name."""

UNTAUGHT = tuple(
    Concept(name, emoji, noun=name)
    for name, emoji in (
        ("koala", "\U0001f428"),
        ("peacock", "\U0001f99a"),
        ("lobster", "\U0001f99e"),
        ("avocado", "\U0001f951"),
        ("cherries", "\U0001f352"),
        ("pretzel", "\U0001f968"),
        ("anchor", "⚓"),
        ("bell", "\U0001f514"),
        ("crown", "\U0001f451"),
        ("drum", "\U0001f941"),
        ("tractor", "\U0001f69c"),
        ("hammer", "\U0001f528"),
    )
)
"""Things the starter is never shown, to try on it how something new is taught; their indices follow `CONCEPTS`."""

COLOURED_SHAPES = tuple(
    Concept(f"{colour} {shape}", noun=shape, colour=colour) for shape in SHAPES for colour in SHAPE_COLOURS
)
TEXTURED_SHAPES = tuple(
    Concept(f"{texture} {shape.name}", noun=shape.noun, colour=shape.colour, texture=texture)
    for texture in TEXTURES
    for shape in COLOURED_SHAPES
)
_NOUNS = Counter(concept.noun for concept in CONCEPTS)
TINTED = tuple(
    tinted for concept in CONCEPTS if concept.told and _NOUNS[concept.noun] == 1 for tinted in _tinted(concept)
)

THINGS: tuple[Concept, ...] = CONCEPTS + UNTAUGHT + COLOURED_SHAPES + TEXTURED_SHAPES + TINTED
"""All that can be drawn; an index into it is a label. Most scenes show the concepts only."""
