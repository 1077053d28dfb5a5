"""The categories a person asks for, each with the phrases that describe it to a detector."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from engine.errors import PromptError, quoted

_BLOCK_ENDS = str.maketrans({".": " ", "?": " "})  # '.' and '?' end a block of text inside the model


@dataclass(frozen=True)
class Category:
    """One kind of object: the name people see and the phrases the detector reads.

    The name keeps its case and characters. Phrases are cleaned and made unique; without any,
    the name itself is the phrase.

    Raises:
        PromptError: the name is empty, or a phrase has nothing but punctuation.
    """

    name: str
    phrases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name = self.name.strip()
        if not name:
            raise PromptError("A category has no name. Type what to look for, for example 'cat. remote control.'")
        if any("\ud800" <= char <= "\udfff" for text in (name, *self.phrases) for char in text):
            raise PromptError(f"Category {quoted(name)} holds half a character. Type its name again.")
        phrases = dict.fromkeys(clean_phrase(phrase) for phrase in self.phrases or (name,))
        for phrase in phrases:
            if not _has_a_word(phrase):
                raise PromptError(f"Category {quoted(name)} has no letter or digit to look for. Describe it in words.")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "phrases", tuple(phrases))


@dataclass(frozen=True)
class Ontology:
    """The categories of one request, in order: a detection's `class_id` is an index into them.

    Raises:
        PromptError: there is no category, a name is given twice, or two categories share a phrase.
    """

    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        if not self.categories:
            raise PromptError("The prompt is empty. Type what to look for, for example 'cat. remote control.'")
        owners: dict[str, Category] = {}
        names: set[str] = set()
        for category in self.categories:
            if category.name in names:
                raise PromptError(f"Category {quoted(category.name)} is named twice. Name each category once.")
            names.add(category.name)
            for phrase in category.phrases:
                other = owners.setdefault(phrase, category)
                if other is not category:
                    raise PromptError(
                        f"{quoted(phrase)} describes both {quoted(other.name)} and {quoted(category.name)}. "
                        "Give one of them another phrase."
                    )

    @classmethod
    def from_prompt(cls, prompt: str) -> Self:
        """Categories from text such as `cat. remote control.`: a '.', a '?' or a new line ends each one."""
        return cls.from_names(part for part in re.split(r"[.?\r\n]", prompt) if part.strip())

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Self:
        """One category a name, described by that name alone."""
        return cls(tuple(Category(name) for name in names))

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each category, by `class_id`."""
        return tuple(category.name for category in self.categories)


def clean_phrase(text: str) -> str:
    """A phrase as the detector reads it: no '.' or '?', single spaces, lower case."""
    return " ".join(text.translate(_BLOCK_ENDS).lower().split())


def _has_a_word(phrase: str) -> bool:
    """Whether a letter, a digit or a symbol beyond ASCII (an emoji, '€') is in it."""
    return any(char.isalnum() or (not char.isascii() and unicodedata.category(char)[0] == "S") for char in phrase)
