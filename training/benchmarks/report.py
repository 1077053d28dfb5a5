"""`bench training`: everything about training that is measured side by side in one run."""

import platform
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from annotations.database import Store
from training.benchmarks.contenders import Contender, OwnLoss, TransformersLoss
from training.benchmarks.memory import peak_step_bytes
from training.benchmarks.race import Curve, race, step_time_ratio, steps_ratio
from training.benchmarks.tasks import Task, blood_cells, rendered_scenes
from training.config import TrainConfig

SHARED = TrainConfig(
    mode="closed",  # transformers' loss can't tell the prompts of a batch apart
    batch_size=8,
    learning_rate=1e-3,
    backbone_multiplier=1.0,
    text_multiplier=0.5,
    ema_decay=0.99,
    denoising=0,
)
"""What every contender has in common: the settings that `train` gives the starter, with one prompt for all images."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainingBenchmark:
    """What is run.

    Attributes:
        blood_cells: folder of BCCD; where it is not there that task is left out, and the document says so.
        steps: of each contender.
        every: steps between two measurements.
        validation: most images a measurement looks at.
        side_px: shorter side of the picture that memory is measured with; 0: not at all.
        seed: of data, batches and noise.
    """

    blood_cells: Path
    steps: int = 200
    every: int = 25
    validation: int = 48
    side_px: int = 800
    seed: int = 0


def run(benchmark: TrainingBenchmark, say: Say) -> dict[str, Any]:
    """The document of `bench training --json`.

    "steps_ratio" is the geometric mean over the tasks, null where one of them has none; "step_time_ratio" is our step
    without denoising over transformers'; "peak_memory_ratio" is a step with activations computed anew over one that
    keeps them.

    Raises:
        FontMissing: scenes can't be drawn.
    """
    config = replace(SHARED, steps=benchmark.steps, seed=benchmark.seed)
    tasks: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for task in _tasks(benchmark, config, Path(folder), say):
            tasks[task.name] = _raced(replace(task, validation=task.validation[: benchmark.validation]), benchmark, say)
    memory = _memory(benchmark.side_px, say) if benchmark.side_px else None
    ratios = [found["steps_ratio"] for found in tasks.values()]
    return {
        "machine": {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads()},
        "torch": str(torch.__version__),
        "seed": benchmark.seed,
        "steps_ratio": None if None in ratios else round(statistics.geometric_mean(ratios), 2),
        "step_time_ratio": _mean(tasks, "step_time_ratio"),
        "step_time_ratio_denoising": _mean(tasks, "step_time_ratio_denoising"),
        "peak_memory_ratio": memory and memory["ratio"],
        "memory": memory,
        "tasks": tasks,
    }


def _tasks(benchmark: TrainingBenchmark, config: TrainConfig, folder: Path, say: Say) -> list[Task]:
    found = [rendered_scenes(folder, config)]
    if benchmark.blood_cells.is_dir():
        with Store.open(folder / "groundwork.db") as store:
            found.append(blood_cells(store, benchmark.blood_cells, config))
    else:
        say(f"No blood cells at {benchmark.blood_cells}: only the rendered scenes are learnt. Say where with --data.")
    return found


def _raced(task: Task, benchmark: TrainingBenchmark, say: Say) -> dict[str, Any]:
    contenders = {"transformers": _transformers(task), "ours": _ours(task, 0), "ours with denoising": _ours(task, 100)}
    curves: dict[str, Curve] = {}
    for lap in race(task, contenders, benchmark.every, curves):
        say(f"{task.name}  step {lap.step}/{task.config.steps}  {lap.contender}: AP50 {lap.AP50:.3f}")
    theirs, ours, denoised = contenders.values()
    return {
        "steps_ratio": steps_ratio(curves["transformers"], curves["ours"]),
        "steps_ratio_denoising": steps_ratio(curves["transformers"], curves["ours with denoising"]),
        "step_time_ratio": step_time_ratio(theirs, ours),
        "step_time_ratio_denoising": step_time_ratio(theirs, denoised),
        "curves": {name: vars(curve) for name, curve in curves.items()},
    }


def _transformers(task: Task) -> Contender:
    detector = task.start()
    return Contender(detector, TransformersLoss(detector), task.config)


def _ours(task: Task, denoising: int) -> Contender:
    config, detector = replace(task.config, denoising=denoising), task.start()
    return Contender(detector, OwnLoss(detector, config), config)


def _memory(side_px: int, say: Say) -> dict[str, Any]:
    measured = {}
    for name, recompute in (("recomputed", True), ("kept", False)):
        measured[name] = peak_step_bytes(side_px, recompute=recompute)
        say(f"memory of a {side_px} px step, activations {name}: {measured[name]['bytes'] / 1e9:.2f} GB")
    ratio = measured["recomputed"]["bytes"] / measured["kept"]["bytes"]
    return {"side_px": side_px, "ratio": round(ratio, 3), **measured}


def _mean(tasks: dict[str, Any], key: str) -> float:
    return round(statistics.geometric_mean([found[key] for found in tasks.values()]), 3)
