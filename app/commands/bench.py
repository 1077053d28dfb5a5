"""launch.py bench: the numbers of docs/benchmarks.md, measured here and now."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.commands.terminal import print_document, say

_SAY_EVERY_S = 10.0


def run(arguments: argparse.Namespace) -> int:
    """Run one benchmark; minutes each, `starter-tuning` an hour, `ablations` hours."""
    benchmarks = {
        "training": _training,
        "ablations": _ablations,
        "starter": _starter,
        "starter-tuning": _tuning,
        "engine": _engine,
        "tiles": _tiles,
        "vocabulary": _vocabulary,
        "precision": _precision,
    }
    return benchmarks[arguments.name](arguments)


def _training(arguments: argparse.Namespace) -> int:
    from training.benchmarks import report

    blood_cells = arguments.data / "bccd"
    benchmark = report.TrainingBenchmark(
        blood_cells, steps=arguments.steps or 200, seed=arguments.seed, side_px=arguments.side
    )
    document = report.run(benchmark, say)
    return _answer(arguments, document, _print_training)


def _ablations(arguments: argparse.Namespace) -> int:
    from training.benchmarks import ablations

    output = arguments.output or Path("ablations.jsonl")
    rows = ablations.run(output, arguments.data, arguments.seeds or 3, arguments.steps or 200, say)
    if arguments.json:
        print_document({"runs": rows})
    else:
        for task in ablations.TASKS:
            print(f"{task}\n\n{ablations.table(rows, task)}\n")
    return 0


def _starter(arguments: argparse.Namespace) -> int:
    from app.services.evaluation_document import COMMON_THRESHOLD
    from training.benchmarks import starter

    threshold = COMMON_THRESHOLD if arguments.threshold is None else arguments.threshold
    benchmark = starter.StarterBenchmark(
        arguments.detector, arguments.seed, arguments.images or 1200, threshold, arguments.segmenter
    )
    document = starter.run(benchmark, _TimeLeft())
    return _answer(arguments, document, _print_rows)


def _tuning(arguments: argparse.Namespace) -> int:
    from training.benchmarks import starter_tuning

    benchmark = starter_tuning.TuningBenchmark(
        arguments.data, arguments.detector, arguments.steps, arguments.seed, arguments.seeds or 1, arguments.output
    )
    document = starter_tuning.run(benchmark, say)
    return _answer(arguments, document, _print_tuning)


def _engine(arguments: argparse.Namespace) -> int:
    from app.services import throughput
    from engine.benchmarks import report

    document = report.run(arguments.repeats, say)
    say("Labelling 500 images")
    return _answer(arguments, document | throughput.measure(), _print_rows)


def _tiles(arguments: argparse.Namespace) -> int:
    from app.services.evaluation_document import COMMON_THRESHOLD
    from training.benchmarks import tiles

    threshold = COMMON_THRESHOLD if arguments.threshold is None else arguments.threshold
    benchmark = tiles.TilesBenchmark(
        arguments.detector, arguments.seed, arguments.images or 12, threshold, arguments.tiles or None
    )
    return _answer(arguments, tiles.run(benchmark, say), _print_rows)


def _vocabulary(arguments: argparse.Namespace) -> int:
    from app.services.evaluation_document import COMMON_THRESHOLD
    from training.benchmarks import vocabulary

    threshold = COMMON_THRESHOLD if arguments.threshold is None else arguments.threshold
    benchmark = vocabulary.VocabularyBenchmark(arguments.detector, arguments.seed, arguments.images or 100, threshold)
    return _answer(arguments, vocabulary.run(benchmark, say), _print_rows)


def _precision(arguments: argparse.Namespace) -> int:
    from training.benchmarks import precision

    document = precision.run(arguments.detector, arguments.seed, arguments.images or 1200, say)
    return _answer(arguments, document, _print_rows)


def _answer(arguments: argparse.Namespace, document: dict[str, Any], show: Callable[[dict[str, Any]], None]) -> int:
    if arguments.json:
        print_document(document)
    else:
        show(document)
    return 0


class _TimeLeft:
    """A line now and then that says how much is done and how long the rest will take."""

    def __init__(self) -> None:
        self._started = self._said = time.monotonic()

    def __call__(self, done: float, total: float) -> None:
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY_S:
            self._said = now
            left = (now - self._started) / done * (total - done)
            say(f"{100 * done / total:.0f} % done, about {left:.0f} s left")


def _print_training(document: dict[str, Any]) -> None:
    for name, task in document["tasks"].items():
        print(f"{name}: AP50 after so many steps")
        for contender, curve in task["curves"].items():
            points = zip(curve["steps"], curve["AP50"], strict=True)
            print(f"  {contender:20} " + "  ".join(f"{step}: {value:.3f}" for step, value in points))
    for key in ("steps_ratio", "step_time_ratio", "step_time_ratio_denoising", "peak_memory_ratio"):
        print(f"{key:28} {document[key]}")


def _print_rows(document: dict[str, Any]) -> None:
    for key, value in document.items():
        if isinstance(value, dict):
            print(f"{key:28} " + "  ".join(f"{name}: {part}" for name, part in value.items()))
        else:
            print(f"{key:28} {'not measured' if value is None else value}")


def _print_tuning(document: dict[str, Any]) -> None:
    from training.benchmarks.starter_tuning import DATASETS

    for name in DATASETS:
        found = document[name]
        print(f"{name}: AP50 after so many steps")
        for start in ("starter", "random"):
            curve = found[start]["curve"]
            points = zip(curve["steps"], curve["AP50"], strict=True)
            print(f"  {start:8} " + "  ".join(f"{step}: {value:.3f}" for step, value in points))
        for key in ("AP50", "random_AP50", "steps", "minutes", "steps_ratio"):
            print(f"  {key:12} {found[key]}")
