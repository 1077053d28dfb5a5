"""launch.py bench: the numbers of docs/benchmarks.md, measured here and now."""

import argparse
from typing import Any

from app.commands.terminal import print_document, say


def run(arguments: argparse.Namespace) -> int:
    """Run one benchmark; minutes each, `ablations` hours."""
    return _ablations(arguments) if arguments.name == "ablations" else _training(arguments)


def _training(arguments: argparse.Namespace) -> int:
    from training.benchmarks import report

    blood_cells = arguments.data / "bccd"
    benchmark = report.TrainingBenchmark(
        blood_cells, steps=arguments.steps, seed=arguments.seed, side_px=arguments.side
    )
    document = report.run(benchmark, say)
    if arguments.json:
        print_document(document)
    else:
        _print_training(document)
    return 0


def _ablations(arguments: argparse.Namespace) -> int:
    from training.benchmarks import ablations

    rows = ablations.run(arguments.output, arguments.data, arguments.seeds, arguments.steps, say)
    if arguments.json:
        print_document({"runs": rows})
    else:
        for task in ablations.TASKS:
            print(f"{task}\n\n{ablations.table(rows, task)}\n")
    return 0


def _print_training(document: dict[str, Any]) -> None:
    for name, task in document["tasks"].items():
        print(f"{name}: AP50 after so many steps")
        for contender, curve in task["curves"].items():
            points = zip(curve["steps"], curve["AP50"], strict=True)
            print(f"  {contender:20} " + "  ".join(f"{step}: {value:.3f}" for step, value in points))
    for key in ("steps_ratio", "step_time_ratio", "step_time_ratio_denoising", "peak_memory_ratio"):
        print(f"{key:28} {document[key]}")
