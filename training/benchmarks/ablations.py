"""What each part of the training is worth: the same run without it, several seeds each."""

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from annotations.database import Store
from training.benchmarks.contenders import Contender, OwnLoss
from training.benchmarks.race import Curve, race
from training.benchmarks.rows import add_row, read_rows
from training.benchmarks.tasks import Task, blood_cells, rendered_scenes
from training.config import TrainConfig

REFERENCE = TrainConfig(
    mode="vocabulary",
    batch_size=8,
    learning_rate=1e-3,
    backbone_multiplier=1.0,
    text_multiplier=0.5,
    ema_decay=0.99,
    loss="mm_grounding_dino",
)
"""Everything the papers do, with the rates that `train` gives the starter."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "reference": {},
    "no encoder loss": {"encoder_loss": 0.0},
    "no denoising": {"denoising": 0},
    "no look-forward-twice": {"look_forward_twice": False},
    "no negatives": {"negatives": 0},
    "IoU-aware targets": {"loss": "iou_aware"},
    "dense stage of 50 steps": {"dense_steps": 50},
    "text encoder frozen": {"text_multiplier": 0.0},
    "mode closed": {"mode": "closed"},
}
TASKS = ("scenes", "bccd")

Say = Callable[[str], None]


def run(
    output: Path, data: Path, seeds: int, steps: int, say: Say, *, tasks: Sequence[str] = TASKS, every: int = 50
) -> list[dict[str, Any]]:
    """Every variant of every task with every seed; a run that `output` already holds is not done again.

    Args:
        output: a file of JSON lines, one a run, written as each ends.
        data: folder that holds bccd/.
    """
    done = read_rows(output)
    for seed in range(seeds):
        for name in tasks:
            wanted = [v for v in VARIANTS if (name, v, seed, steps) not in {_key(row) for row in done}]
            for row in _rows(name, wanted, seed, steps, every, data, say):
                done.append(row)
                add_row(output, row)
    return done


def table(rows: Sequence[Mapping[str, Any]], task: str) -> str:
    """Markdown: mean AP50 over the seeds at each measured step, the spread of the last, and the mean of the last AP."""
    own = [row for row in rows if row["task"] == task]
    if not own:
        return ""
    steps = own[0]["curve"]["steps"][1:]
    lines = [
        "| variant | seeds | "
        + " | ".join(f"AP50 at {step}" for step in steps)
        + " | lowest to highest at the end | AP |"
    ]
    lines.append("|---" * (len(steps) + 4) + "|")
    for variant in dict.fromkeys(row["variant"] for row in own):
        curves = [row["curve"] for row in own if row["variant"] == variant]
        ends = [curve["AP50"][-1] for curve in curves]
        means = [statistics.mean(curve["AP50"][index + 1] for curve in curves) for index in range(len(steps))]
        precision = statistics.mean(curve["AP"][-1] for curve in curves)
        cells = [f"{mean:.3f}" for mean in means]
        spread = f"{min(ends):.3f} to {max(ends):.3f}"
        lines.append(f"| {variant} | {len(curves)} | {' | '.join(cells)} | {spread} | {precision:.3f} |")
    return "\n".join(lines)


def _rows(
    name: str, variants: Sequence[str], seed: int, steps: int, every: int, data: Path, say: Say
) -> Iterator[dict[str, Any]]:
    if not variants:
        return
    with tempfile.TemporaryDirectory() as folder:
        task = _task(name, Path(folder), data, replace(REFERENCE, steps=steps, seed=seed))
        for variant in variants:
            config = replace(task.config, **VARIANTS[variant])
            detector = task.start()
            contender = Contender(detector, OwnLoss(detector, config), config)
            curves: dict[str, Curve] = {}
            for lap in race(replace(task, config=config), {variant: contender}, every, curves):
                say(f"{name}, seed {seed}, {variant}: step {lap.step}/{steps}, AP50 {lap.AP50:.3f}")
            yield {"task": name, "variant": variant, "seed": seed, "run_steps": steps, "curve": vars(curves[variant])}


def _task(name: str, folder: Path, data: Path, config: TrainConfig) -> Task:
    if name == "scenes":
        return rendered_scenes(folder, config)
    with Store.open(folder / "groundwork.db") as store:
        return blood_cells(store, data / "bccd", config)


def _key(row: Mapping[str, Any]) -> tuple[str, str, int, int]:
    return row["task"], row["variant"], row["seed"], row["run_steps"]
