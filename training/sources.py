"""Where the images of a training come from, and how they are mixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import TrainConfig
from training.samples import AnyText

_PERIOD = 1000  # about as many places until the pattern of sources repeats: shares are kept to a thousandth


@dataclass(frozen=True)
class Source:
    """Images of one kind with what is asked about them.

    Attributes:
        items: what `text` draws samples from: `LabelledImage`, `CaptionedImage`; not empty.
        text: makes a sample of an item.
        share: of each step's images, relative to the other sources' shares.
    """

    items: Sequence[Any]
    text: AnyText
    share: float = 1.0


@dataclass(frozen=True)
class Shares:
    """How much of each step's images comes from where; the three sum to 1."""

    categories: float
    captions: float
    replay: float


def shares(config: TrainConfig, *, categories: bool = True, captions: bool = False, replay: bool = False) -> Shares:
    """What the settings say, among the sources that there are; what a missing one would have had goes to the others.

    `captions` is a share of what `replay` leaves, so that only `captions=1` takes all from the categories.
    """
    repeated = config.replay if replay else 0.0
    said = 0.0 if not captions else config.captions if categories else 1.0
    return Shares((1.0 - repeated) * (1.0 - said), (1.0 - repeated) * said, repeated)


class Mixture:
    """Gives every place of a training (0, 1, ... over all its steps) a source and an item of it.

    Any stretch of places holds each source in its share, and of a source every item comes once before any comes again,
    in a new order each time. What a place gets depends on the seed and the place alone.
    """

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        self._sources = [source for source in sources if source.share > 0 and source.items]
        if not self._sources:
            raise ValueError("No source has an image and a share above 0.")
        self._seed = seed
        self._pattern = _pattern([source.share for source in self._sources])
        self._counts = np.bincount(self._pattern, minlength=len(self._sources))
        # places of the same source before each, within the period
        self._earlier = np.zeros(len(self._pattern), np.int64)
        for index in range(len(self._sources)):
            own = self._pattern == index
            self._earlier[own] = np.arange(int(own.sum()))
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}

    def __getitem__(self, place: int) -> tuple[Source, Any]:
        """The source and the item of a place."""
        period, within = divmod(place, len(self._pattern))
        index = int(self._pattern[within])
        source = self._sources[index]
        epoch, position = divmod(period * int(self._counts[index]) + int(self._earlier[within]), len(source.items))
        return source, source.items[self._order(index, epoch)[position]]

    def _order(self, index: int, epoch: int) -> NDArray[np.int64]:
        known = self._orders.get(index)
        if known is None or known[0] != epoch:
            rng = np.random.default_rng([self._seed, epoch, 1, index])
            known = self._orders[index] = (epoch, rng.permutation(len(self._sources[index].items)))
        return known[1]


def _pattern(weights: Sequence[float]) -> NDArray[np.int64]:
    """The source of each place of a period: the visits of each lie evenly over it."""
    counts = np.maximum(np.round(np.array(weights) / sum(weights) * _PERIOD), 1).astype(np.int64)
    due = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])  # of each visit, within [0, 1)
    pattern: NDArray[np.int64] = np.repeat(np.arange(len(weights)), counts)[np.argsort(due, kind="stable")]
    return pattern
