"""Which concepts a starter takes for which others.

A prompt of 16 names drawn from 542 seldom holds the few that a thing is taken for, so that training seldom says which
of them is right. Prompts and scenes are filled by this table (`training.starter.casting`), which
`training.starter.confusion` measures once a starter tells most things apart.
"""

from functools import cache
from pathlib import Path

from training.worlds.concepts import CONCEPTS

TABLE = Path(__file__).with_suffix(".tsv")


@cache
def look_alikes() -> tuple[tuple[int, ...], ...]:
    """For each concept the indices of those it is taken for, most often first; of some none are known."""
    number = {concept.name: index for index, concept in enumerate(CONCEPTS)}
    rows = dict(line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines())
    named = (rows[concept.name] for concept in CONCEPTS)
    return tuple(tuple(number[name] for name in row.split(" | ")) if row else () for row in named)
