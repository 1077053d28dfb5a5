"""Categories that a training holds out, to measure what it does to names it was not taught."""

import numpy as np

from engine.ontology import Ontology
from training.config import TrainConfig
from training.errors import ConfigRefused

_SHARE = 0.25  # of the categories, where none are named


def hold_out_categories(ontology: Ontology, config: TrainConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The categories that are taught, and those that are not, as indices into the ontology.

    The settings name the latter, or the seed draws a quarter of them; one is always taught, so that of a single
    category nothing is held out. Only the mode "open" holds out any.

    Raises:
        ConfigRefused: a name that is no category, or all of them.
    """
    every = range(len(ontology.names))
    if config.mode != "open":
        return tuple(every), ()
    unknown = [name for name in config.novel if name not in ontology.names]
    if unknown:
        known = ", ".join(ontology.names[:10])
        raise ConfigRefused(f"Training settings: novel names {unknown[0]!r}, which is no category (there are {known}).")
    if config.novel:
        novel = {ontology.names.index(name) for name in config.novel}
    else:
        count = max(1, round(len(every) * _SHARE)) if len(every) > 1 else 0
        novel = set(np.random.default_rng([config.seed, 8]).permutation(len(every))[:count].tolist())
    base = tuple(index for index in every if index not in novel)
    if not base:
        raise ConfigRefused("Training settings: novel names every category, which leaves none to teach. Name fewer.")
    return base, tuple(sorted(novel))
