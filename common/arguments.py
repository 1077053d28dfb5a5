"""Numbers on a command line, as types of `argparse`: what is out of range is refused in a line that says so."""

import argparse
from collections.abc import Callable


def port(text: str) -> int:
    """A TCP port; 0 asks the system for a free one."""
    return int(_within(text, int, 0, 65535))


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return int(_within(text, int, 1, 10**9))


def natural(text: str) -> int:
    """A whole number from 0 on that fits into 32 bits, as seeds must."""
    return int(_within(text, int, 0, 2**32 - 1))


def fraction(text: str) -> float:
    """A part of a whole, from 0 to 1."""
    return _within(text, float, 0, 1)


def _within(text: str, kind: Callable[[str], float], low: float, high: float) -> float:
    try:
        value = kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text} is not between {low:,} and {high:,}")
    return value
