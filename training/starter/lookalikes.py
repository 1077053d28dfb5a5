"""Which concepts a starter takes for which others, and how sure it is of each.

A prompt of 16 names drawn from 542 seldom holds the few that a thing is taken for, so that training seldom says which
of them is right; and what is learnt slowly is shown no more often than what has been known for long. Prompts and scenes
are filled by this table (`training.starter.casting`), which `training.starter.confusion` measures once a starter tells
most things apart.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.worlds.concepts import CONCEPTS

TABLE = Path(__file__).with_suffix(".tsv")

_MOST_OFTEN = 4.0  # times as often as a concept of the median score


@cache
def look_alikes() -> tuple[tuple[int, ...], ...]:
    """For each concept the indices of those it is taken for, most often first; of some none are known."""
    number = {concept.name: index for index, concept in enumerate(CONCEPTS)}
    named = [row[2] for row in _rows()]
    return tuple(tuple(number[name] for name in row.split(" | ")) if row else () for row in named)


@cache
def practice() -> NDArray[np.float64]:
    """(C,) how often to draw each concept: less known, more often; the median is 1, and so is what was not measured."""
    own = np.array([float(row[1]) if row[1] else np.nan for row in _rows()])
    often = (np.nanmedian(own) / np.maximum(own, 1e-3)) ** 1.5
    drawn: NDArray[np.float64] = np.nan_to_num(np.minimum(often, _MOST_OFTEN), nan=1.0)
    return drawn


@cache
def _rows() -> tuple[list[str], ...]:
    """Of each concept its name, its mean score by that name ("" where it was never shown), and its look-alikes."""
    rows = {line.split("\t")[0]: line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()}
    return tuple(rows[concept.name] for concept in CONCEPTS)
