"""`bench tiles`: what looking at a large picture in tiles finds that one look at it does not, and what it costs.

Two kinds of pictures of 1600 x 1200 px (`training.benchmarks.questions`): "small" are full of small things, "any_size"
have things of up to 720 px, which no tile holds: there whole things must come back from their parts. Both ways are
asked the same and shown as people are, second boxes around one thing being left out. AP and AP50 are means over names,
a picture counting for the names of its prompt; APs, APm and APl are COCO's, of things below 32 x 32 px, below 96 x 96
and above. "found" is the part of all things that have a right box from `threshold` on, "wrong" the boxes from there on
an image that are right of none.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.checkpoints import load_detector
from engine.detector import BatchDetector, Detector
from engine.tiles import TiledDetector
from training.benchmarks import questions
from training.benchmarks.starter import Answer, answers, as_shown, counted, federated

_METRICS = ("AP50", "AP", "APs", "APm", "APl")
_LOWEST = 0.05  # score of boxes that are kept at all, as the page keeps them

Say = Callable[[str], None]


@dataclass(frozen=True)
class TilesBenchmark:
    """What is measured.

    Attributes:
        detector: "starter", a checkpoint folder or a hub id.
        seed: of scenes and prompts.
        images: of each kind.
        threshold: from which score on a box is shown to a person who has set none.
        tile_px: side of a tile; None: what suits the detector.
    """

    detector: str | Path = "starter"
    seed: int = 0
    images: int = 12
    threshold: float = 0.4
    tile_px: int | None = None


def run(benchmark: TilesBenchmark, say: Say) -> dict[str, Any]:
    """The document of `bench tiles --json`.

    Raises:
        WeightsMissing, CheckpointRefused: the detector can't be loaded.
        FontMissing: scenes can't be drawn.
    """
    return measure(load_detector(benchmark.detector), benchmark, say)


def measure(detector: BatchDetector, benchmark: TilesBenchmark, say: Say) -> dict[str, Any]:
    """Both kinds of pictures, by one look and in tiles: "small.whole" and so on."""
    tiled = TiledDetector(detector, benchmark.tile_px)
    ways: dict[str, Detector] = {"whole": detector, "tiles": tiled}
    document: dict[str, Any] = {}
    for kind, asked in (("small", questions.small_on_large), ("any_size", questions.any_size_on_large)):
        rendered = list(asked(benchmark.seed, benchmark.images))
        for way, looking in ways.items():
            started = time.perf_counter()
            given = answers(looking, rendered, threshold=_LOWEST)
            seconds = (time.perf_counter() - started) / benchmark.images
            document[f"{kind}.{way}"] = _numbers(as_shown(given), benchmark.threshold) | {"seconds": round(seconds, 2)}
            say(f"{kind}, {way}: {document[f'{kind}.{way}']}")
    return document | {
        "tile_px": tiled.tile_px,
        "threshold": benchmark.threshold,
        "images": benchmark.images,
        "seed": benchmark.seed,
    }


def _numbers(given: list[Answer], threshold: float) -> dict[str, float | None]:
    metrics = federated(given).metrics
    right, shown, there = counted(given, threshold)
    found = {name: metrics[name] for name in _METRICS}
    found |= {"found": right / there, "wrong": (shown - right) / len(given)}
    return {name: None if value is None else round(value, 3) for name, value in found.items()}
