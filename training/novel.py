"""Categories that a training holds out, to measure what it does to names it was not taught."""

import numpy as np

from engine.ontology import Ontology
from training.config import TrainConfig
from training.errors import ConfigRefused

_PARTS = 4  # one in so many categories is held out where none are named


def hold_out_categories(ontology: Ontology, config: TrainConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The categories that are taught, and those that are not, as indices into the ontology.

    The settings name the latter, whatever their case, or the seed draws a quarter of them; of fewer than four none is
    held out. Only the mode "open" holds out any.

    Raises:
        ConfigRefused: a name that is no category, or all of them.
    """
    every = tuple(range(len(ontology.names)))
    if config.mode != "open":
        return every, ()
    novel = _named(ontology, config.novel) if config.novel else _drawn(len(every), config.seed)
    base = tuple(index for index in every if index not in novel)
    if not base:
        raise ConfigRefused("Training settings: novel names every category. Leave at least one to learn.")
    return base, tuple(sorted(novel))


def _named(ontology: Ontology, names: tuple[str, ...]) -> set[int]:
    known = {name.casefold(): index for index, name in enumerate(ontology.names)}
    for name in names:
        if name.casefold() not in known:
            listed = ", ".join(repr(known_name) for known_name in ontology.names[:10])
            raise ConfigRefused(
                f"Training settings: novel names {name!r}, which is no category. There are: {listed}. Name one of them."
            )
    return {known[name.casefold()] for name in names}


def _drawn(count: int, seed: int) -> set[int]:
    drawn = np.random.default_rng([seed, 8]).permutation(count)[: count // _PARTS]
    return set(drawn.tolist())
