"""What is wrong with a dataset that is about to be taught, in words."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from engine.errors import quoted

Severity = Literal["error", "warning"]

MOST_NAMED = 5
"""So many images or categories are called by name; the rest are counted."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: a fixed word for scripts, such as "same_phrase".
        severity: "error" (a run does not start) or "warning" (it starts, and may disappoint).
        what: what is wrong, with counts; a sentence without its full stop.
        where: the first few names of images or categories.
        count: how many there are of them.
        advice: what to do about it; a sentence.
    """

    kind: str
    severity: Severity
    what: str
    where: tuple[str, ...]
    count: int
    advice: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.headline}. {self.advice}"

    @property
    def headline(self) -> str:
        """What and where, without the advice."""
        return f"{self.what}: {listed(self.where, self.count)}" if self.where else self.what


@dataclass(frozen=True)
class Report:
    """Every problem of a dataset, errors first.

    Attributes:
        problems: what was found.
        unusable: ids of the images that can't be learnt from or measured on: gone, damaged, or changed.
    """

    problems: tuple[Problem, ...] = ()
    unusable: frozenset[int] = frozenset()

    @property
    def errors(self) -> list[Problem]:
        """What keeps a run from starting."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        """What a person should know before it starts."""
        return [problem for problem in self.problems if problem.severity == "warning"]

    def __add__(self, other: "Report") -> Self:
        both = (*self.problems, *other.problems)
        return type(self)(in_order(both), self.unusable | other.unusable)

    def to_json(self) -> dict[str, Any]:
        """As `train --check --json` prints it."""
        return {
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "problems": [asdict(problem) | {"line": problem.line} for problem in self.problems],
        }


def error(kind: str, what: str, advice: str, where: Sequence[str] = ()) -> Problem:
    """A problem that keeps a run from starting."""
    return Problem(kind, "error", what, tuple(where[:MOST_NAMED]), len(where), advice)


def warning(kind: str, what: str, advice: str, where: Sequence[str] = ()) -> Problem:
    """A problem that a person should know of."""
    return Problem(kind, "warning", what, tuple(where[:MOST_NAMED]), len(where), advice)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Errors first, otherwise as they came."""
    return tuple(sorted(problems, key=lambda problem: problem.severity != "error"))


def listed(names: Sequence[str], count: int) -> str:
    """Names in quotes, and how many more there are."""
    shown = ", ".join(quoted(name) for name in names)
    return f"{shown} and {count - len(names):,} more" if count > len(names) else shown


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 box", "2 boxes"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
