"""What a detector is asked for when a category is described by its name alone: file formats have their own names."""

import re
from collections import Counter
from collections.abc import Sequence

from engine.ontology import clean_phrase

_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_MARKS = str.maketrans(dict.fromkeys("_()[]", " "))
_WORD = re.compile(r"[^\W\d_]{2}")
_NEVER_ALONE = frozenset({"and", "or", "on", "off", "in", "out", "up", "down", "with", "he", "she", "his", "her"})


def asked_phrases(named: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, ...]]:
    """The phrases of each category of a dataset, for teaching and detecting alike.

    Phrases a person chose stay as they are. A name alone is read as MM-Grounding-DINO reads it (arXiv:2401.02361):
    "truck_(tow)" without its remark, "hot_dog" with spaces, "cup/mug" as two phrases, of which one is drawn each time
    in teaching and the better one counts in detection. A remark stays where two categories would be called the same.

    Args:
        named: name and phrases of each category.
    """
    written = [_written(name, phrases) for name, phrases in named]
    found = [own or _alternatives(name) for (name, _), own in zip(named, written, strict=True)]
    for fallback in (_with_remark, lambda name: (name,)):
        owners = Counter(clean_phrase(phrase) for phrases in found for phrase in set(phrases))
        found = [
            own if given or all(owners[clean_phrase(phrase)] == 1 for phrase in own) else fallback(name)
            for own, given, (name, _) in zip(found, written, named, strict=True)
        ]
    return found


def _written(name: str, phrases: Sequence[str]) -> tuple[str, ...]:
    """The phrases a person chose; none where the name is all there is."""
    return () if [phrase.casefold() for phrase in phrases] in ([], [name.casefold()]) else tuple(phrases)


def _alternatives(name: str) -> tuple[str, ...]:
    plain = _spaced(_BRACKETED.sub(" ", name))
    if not any(char.isalnum() for char in plain):
        return (name,)
    parts = [part.strip() for part in plain.split("/")]
    apart = all(_WORD.search(part) and not _NEVER_ALONE & set(part.lower().split()) for part in parts)
    return tuple(dict.fromkeys(parts)) if apart else (plain,)


def _with_remark(name: str) -> tuple[str, ...]:
    return (_spaced(name),)


def _spaced(name: str) -> str:
    return " ".join(name.translate(_MARKS).split())
