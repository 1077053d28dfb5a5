"""Names people give to datasets, categories and themselves: kept verbatim, within limits."""

import unicodedata
from pathlib import PurePosixPath
from typing import TypeGuard

MAX_NAME_LENGTH = 100
"""In characters."""


def checked_name(name: object, what: str) -> str:
    """The name without outer spaces, once it is known to fit on one line.

    Args:
        name: any text; `<script>`, `${x}`, `yes`, `a/b` and emoji are names like others.
        what: what is named, for the error text, such as "category name".

    Raises:
        ValueError: one line saying what is wrong with it.
    """
    if not isinstance(name, str):
        raise ValueError(f"A {what} must be text, not {name!r}.")
    text = name.strip()
    if not text:
        raise ValueError(f"The {what} is empty. Type at least one character.")
    if len(text) > MAX_NAME_LENGTH:
        raise ValueError(
            f"The {what} {shortened(text)!r} has {len(text)} characters; {MAX_NAME_LENGTH} is the most. Shorten it."
        )
    if any(unicodedata.category(character) in _UNPRINTABLE for character in text):
        raise ValueError(f"The {what} {shortened(text)!r} holds a line break or control character. Take it out.")
    return text


def is_inside(file_name: object) -> TypeGuard[str]:
    """Whether a file name is a relative posix path that stays within its folder."""
    if not isinstance(file_name, str) or not file_name or "\x00" in file_name:
        return False
    path = PurePosixPath(file_name)
    return not path.is_absolute() and ".." not in path.parts and path.name not in ("", ".")


def shortened(text: str, length: int = 40) -> str:
    """The text, cut to `length` characters where it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"


def printable(text: str) -> str:
    """A file name or other foreign text as one line that any terminal and any database can hold."""
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _UNPRINTABLE
        else character
        for character in safe
    )


_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})  # controls, line and paragraph separators, lone surrogates
