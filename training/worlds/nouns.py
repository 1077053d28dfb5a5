"""What the things of a scene are called in sentences."""

from dataclasses import dataclass

from training.worlds.concepts import COLOURED_SHAPES, CONCEPTS, THINGS, TINTED, UNTAUGHT

NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


@dataclass(frozen=True, order=True)
class Description:
    """A kind of thing, of one colour and texture or of any: "striped red circle", "red circle", "circle", "cat"."""

    noun: str
    colour: str = ""  # empty: any
    texture: str = ""  # empty: any

    @property
    def singular(self) -> str:
        """As it is said of one."""
        return self._said(self.noun)

    @property
    def plural(self) -> str:
        """As it is said of several."""
        return self._said(plural(self.noun))

    def fits(self, other: "Description") -> bool:
        """Whether this can be said of a thing that is fully described by `other`."""
        looks = self.colour in ("", other.colour) and self.texture in ("", other.texture)
        return self.noun == other.noun and looks

    def _said(self, noun: str) -> str:
        return " ".join(word for word in (self.texture, self.colour, noun) if word)


def description_of(thing: int) -> Description:
    """All that is said of `THINGS[thing]`: its noun, its texture, and its colour where it always has the same."""
    concept = THINGS[thing]
    return Description(concept.noun, concept.colour, concept.texture)


TOLD_CONCEPTS = tuple(index for index, concept in enumerate(CONCEPTS) if concept.told)
"""Indices into `THINGS` of the concepts that sentences speak of."""

_SHAPES_START = len(CONCEPTS) + len(UNTAUGHT)
TOLD_SHAPES = tuple(range(_SHAPES_START, _SHAPES_START + len(COLOURED_SHAPES)))
"""Indices into `THINGS` of the plain coloured shapes."""

_TEXTURED_START = _SHAPES_START + len(COLOURED_SHAPES)
_TINTED_START = len(THINGS) - len(TINTED)
_CONCEPT_OF = {concept.noun: index for index, concept in enumerate(CONCEPTS)}
_PLURALS = {concept.noun: concept.plural for concept in CONCEPTS if concept.plural}


def category_of(thing: int) -> int:
    """The plainest thing of that kind: the concept of a tinted one, the coloured shape of a textured one."""
    if thing >= _TINTED_START:
        return _CONCEPT_OF[THINGS[thing].noun]
    if thing >= _TEXTURED_START:
        return _SHAPES_START + (thing - _SHAPES_START) % len(COLOURED_SHAPES)
    return thing


def counted(description: Description, count: int) -> str:
    """Such as "a red circle" or "two cats"; at most six."""
    if count > 1:
        return f"{NUMBERS[count]} {description.plural}"
    return with_article(description.singular)


def with_article(words: str) -> str:
    """The words behind "a" or "an", as they are spoken."""
    vowel = words.startswith(("a", "e", "i", "o", "u", "hour")) and not words.startswith(("one ", "uni"))
    return f"{'an' if vowel else 'a'} {words}"


def plural(noun: str) -> str:
    """Of the nouns of this world."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
