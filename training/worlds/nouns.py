"""What the things of a scene are called in sentences."""

from dataclasses import dataclass

from training.worlds.concepts import COLOURED_SHAPES, CONCEPTS, THINGS

NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}

_COLOURS_OF = {"red apple": "red", "green apple": "green", "car": "red", "balloon": "red"}
_NOUNS_OF = {"red apple": "apple", "green apple": "apple"}
_PLURALS = {"mouse": "mice", "wolf": "wolves", "tomato": "tomatoes", "fish": "fish"}

_NOT_TOLD = frozenset(
    (
        *("panda", "lion", "tiger"),  # "the bear" and "the cat" could mean them
        *("grapes", "corn", "bread", "cheese", "books", "scissors"),  # nobody says "a bread" or "a scissors"
        "orange",  # "an orange and a blue circle" could be two things or three
        "traffic light",  # shows a red circle and a green one
        "star",  # there are shapes of that name in eight colours
    )
)


@dataclass(frozen=True, order=True)
class Description:
    """A kind of thing, of one colour or of any: "red circle", "circle", "cat"."""

    noun: str
    colour: str = ""  # empty: any

    @property
    def singular(self) -> str:
        """As it is said of one."""
        return f"{self.colour} {self.noun}".strip()

    @property
    def plural(self) -> str:
        """As it is said of several."""
        return f"{self.colour} {plural(self.noun)}".strip()

    def fits(self, other: "Description") -> bool:
        """Whether this can be said of a thing that is fully described by `other`."""
        return self.noun == other.noun and self.colour in ("", other.colour)


def description_of(thing: int) -> Description:
    """All that is said of `THINGS[thing]`: its noun, and its colour where it always has the same."""
    name = THINGS[thing].name
    if not THINGS[thing].emoji:
        colour, noun = name.split()
        return Description(noun, colour)
    return Description(_NOUNS_OF.get(name, name), _COLOURS_OF.get(name, ""))


TOLD_CONCEPTS = tuple(index for index, concept in enumerate(CONCEPTS) if concept.name not in _NOT_TOLD)
"""Indices into `THINGS` of the concepts that sentences speak of."""

TOLD_SHAPES = tuple(range(len(THINGS) - len(COLOURED_SHAPES), len(THINGS)))
"""Indices into `THINGS` of the coloured shapes."""


def counted(description: Description, count: int) -> str:
    """Such as "a red circle" or "two cats"; at most six."""
    if count > 1:
        return f"{NUMBERS[count]} {description.plural}"
    return with_article(description.singular)


def with_article(words: str) -> str:
    """The words behind "a" or "an"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def plural(noun: str) -> str:
    """Of the nouns of this world."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
