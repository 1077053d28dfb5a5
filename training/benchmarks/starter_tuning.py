"""`bench starter-tuning`: what the starter's weights are worth on real photos, beside the same network without them.

Both learn by `training.job`, as the page and `train` do, with the settings that suit the machine and the photos
(`training.config.defaults_for`) but for `SETTINGS` and what is held out: equal batches, equal rates, equal steps. The
network without the starter's weights is drawn as the starter was before its training
(`training.starter.model.build_starter`). Its batch norms are as frozen as in every checkpoint, but hold the statistics
of its own activations on the photos it is to learn from: without them its features would be of any size.

Photos of blood cells (BCCD) are learnt from its train split, watched on val and scored on test. Of the raccoons, which
come without splits, a fifth is held out by the seed; four files that are copies of others are left out. What 40 photos
say differs by a tenth from seed to seed: with several seeds the curves are compared by their means.
"""

import hashlib
import platform
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from annotations.database import Store
from annotations.importers.doors import import_path
from annotations.queries import LabelledImage
from common.images import read_indexed
from engine.checkpoints import STARTER, load_grounding_detector
from engine.grounding import GroundingDetector
from engine.hub import find_folder
from engine.pretrained import quiet_transformers
from training.benchmarks.race import Curve
from training.benchmarks.rows import add_row, read_rows
from training.dataset import LabelledDataset, read_dataset, split_for_training
from training.errors import TrainingError
from training.job import TrainRequest, run_training
from training.metrics.coco import evaluate_detector
from training.starter.calibration import calibrate_batch_norm
from training.starter.export import export
from training.starter.model import build_starter

DATASETS = ("bccd", "raccoon")
SETTINGS = ("validate_every=25",)
_HELD_OUT = 0.2  # of photos without splits

_CALIBRATION_PHOTOS = 64

Start = Literal["starter", "random"]
Say = Callable[[str], None]


class DataMissing(TrainingError):
    """The photos are not where they were looked for."""


@dataclass(frozen=True)
class TuningBenchmark:
    """What is run.

    Attributes:
        data: folder that holds bccd/ and raccoon/, as they are published.
        detector: whose weights are looked at: "starter" or a checkpoint folder of its kind.
        steps: of each run; None: as many as `train` takes on this machine.
        seed: of split, batches and random weights.
        seeds: how many runs of each start, by `seed` and those that follow it.
        output: JSON lines, one a run, written as each ends; what it holds is not done again. None: nothing is kept.
        datasets: which of `DATASETS`.
        settings: "KEY=VALUE" of the training, but for what is held out.
    """

    data: Path
    detector: str | Path = "starter"
    steps: int | None = None
    seed: int = 0
    seeds: int = 1
    output: Path | None = None
    datasets: tuple[str, ...] = DATASETS
    settings: tuple[str, ...] = SETTINGS


def run(benchmark: TuningBenchmark, say: Say) -> dict[str, Any]:
    """The document of `bench starter-tuning --json`.

    For each dataset "AP50" (of the starter's run, its best weights on test, or where there is none on what was held
    out), "steps" and "minutes" of that run, "steps_ratio" (`ratio_of_steps`), and both starts with their curves. Where
    each start has several runs all numbers are means, and the ratio is that of the mean curves.

    Raises:
        DataMissing: a dataset is not in its folder.
        TrainingError: a run fails.
    """
    for name in benchmark.datasets:
        if not (benchmark.data / name).is_dir():
            raise DataMissing(
                f"No photos at {str(benchmark.data / name)!r}. Say with --data which folder holds {name}/."
            )
    done = read_rows(benchmark.output) if benchmark.output else []
    document: dict[str, Any] = {}
    for name in benchmark.datasets:
        seeds = [replace(benchmark, seed=benchmark.seed + place) for place in range(benchmark.seeds)]
        runs = {start: [_row(one, name, start, done, say) for one in seeds] for start in ("starter", "random")}
        document[name] = _compared({start: _mean(rows) for start, rows in runs.items()})
    return document | {
        "settings": list(benchmark.settings),
        "seed": benchmark.seed,
        "seeds": benchmark.seeds,
        "machine": {"processor": platform.processor() or platform.machine(), "torch": str(torch.__version__)},
    }


def ratio_of_steps(starter: Curve, random: Curve) -> float | None:
    """Steps of the starter to the best AP50 of random weights over their own steps to it; a third at most is the aim.

    0: the starter was as good before its first step. None: it never was, or random weights learnt nothing.
    """
    needed, reached = random.reached(random.best), starter.reached(random.best)
    return reached / needed if needed and reached is not None else None


def _compared(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    starter, random = (Curve(**runs[start]["curve"]) for start in ("starter", "random"))
    ratio = ratio_of_steps(starter, random)
    return {
        "AP50": runs["starter"]["AP50"],
        "steps": runs["starter"]["run_steps"],
        "minutes": runs["starter"]["minutes"],
        "steps_ratio": None if ratio is None else round(ratio, 3),
        "random_AP50": runs["random"]["AP50"],
        "best_watched_AP50": {"starter": round(starter.best, 4), "random": round(random.best, 4)},
        **runs,
    }


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Runs of one start as if they were one, and the runs themselves; all were measured after the same steps."""

    def mean(key: str) -> float:
        found: float = round(statistics.mean(row[key] for row in rows), 4)  # of equal whole numbers: that number
        return found

    curve = {
        key: [statistics.mean(values) for values in zip(*(row["curve"][key] for row in rows), strict=True)]
        for key in ("steps", "seconds", "AP50", "AP")
    }
    return {key: mean(key) for key in ("AP50", "run_steps", "best_step", "minutes")} | {"curve": curve, "runs": rows}


def _row(benchmark: TuningBenchmark, name: str, start: Start, done: list[dict[str, Any]], say: Say) -> dict[str, Any]:
    """One run, or what the output holds of an equal one."""
    key = {
        "dataset": name,
        "start": start,
        "seed": benchmark.seed,
        "asked_steps": benchmark.steps,
        "settings": list(benchmark.settings),
        "begun_with": _begun_with(_folder(benchmark), start),
    }
    for row in done:
        if key.items() <= row.items():
            return row
    row = key | _taught(benchmark, name, start, say)
    if benchmark.output is not None:
        add_row(benchmark.output, row)
    return row


def _begun_with(folder: Path, start: Start) -> str:
    """What a run depends on of the checkpoint it begins with: random weights have all of it but the weights."""
    files = sorted(path for path in folder.iterdir() if path.suffix in {".json", ".safetensors"})
    read = (path.read_bytes() for path in files if start == "starter" or path.suffix == ".json")
    return hashlib.sha256(b"".join(read)).hexdigest()[:12]


def _taught(benchmark: TuningBenchmark, name: str, start: Start, say: Say) -> dict[str, Any]:
    """One run in a workspace of its own."""
    curve = Curve()

    def listen(line: dict[str, Any]) -> None:
        if line.get("event") == "evaluation":
            curve.steps.append(line["step"])
            curve.seconds.append(line["seconds"])
            curve.AP50.append(line["AP50"] or 0.0)
            curve.AP.append(line["AP"] or 0.0)
            say(f"{name}, {start}: step {line['step']}/{line['steps']}, AP50 {curve.AP50[-1]:.3f}")
        elif line.get("event") == "note":
            say(f"{name}, {start}: {line['note']}")
        elif line.get("eta_seconds") is not None:
            say(f"{name}, {start}: step {line['step']}/{line['steps']}, {line['eta_seconds'] / 60:.0f} min left")

    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "groundwork.db") as store:
        import_path(store, name, benchmark.data / name)
        with store.reading() as session:
            dataset = read_dataset(session, name)
        source = _folder(benchmark)
        if start == "random":
            source = random_weights(source, Path(folder) / "random", dataset, benchmark.seed)
        settings = (*benchmark.settings, f"hold_out={_HELD_OUT}", f"seed={benchmark.seed}")
        request = TrainRequest(name, "starter", source, steps=benchmark.steps, settings=settings)
        found = run_training(store, Path(folder), request, say=listen)
        return {
            "AP50": _score(found, dataset),
            "run_steps": found["steps"],
            "best_step": found["best_step"],
            "minutes": round(found["seconds"] / 60, 1),
            "per_category": {key: row["AP50"] for key, row in found["per_category"].items()},
            "curve": vars(curve),
        }


def _score(found: Mapping[str, Any], dataset: LabelledDataset) -> float:
    """AP50 of the run's best weights on the test split; where there is none, on what was held out of the training."""
    test = dataset.of_split("test")
    if not test:
        return round(float(found["metrics"]["AP50"]), 4)
    detector = load_grounding_detector(found["folder"], device="cpu")
    return round(float(evaluate_detector(detector, test, dataset.ontology).metrics["AP50"] or 0.0), 4)


def random_weights(source: Path, folder: Path, dataset: LabelledDataset, seed: int) -> Path:
    """A new checkpoint `folder` like `source`, tokenizer and image settings too, but without what it learnt."""
    starter = load_grounding_detector(source, device="cpu")
    model = build_starter(starter.model.config, seed)
    images = split_for_training(dataset, _HELD_OUT, seed).train[:_CALIBRATION_PHOTOS]
    calibrate_batch_norm(model, (_photo(starter, image) for image in images))
    folder.mkdir()
    with quiet_transformers():
        export(model, starter.tokenizer, folder, starter.preprocessing)
    return folder


def _folder(benchmark: TuningBenchmark) -> Path:
    return STARTER if benchmark.detector == "starter" else find_folder(benchmark.detector)


@dataclass(frozen=True)
class _Photo:
    """A batch of one: (1, 3, H, W), normalised."""

    pixels: Tensor


def _photo(starter: GroundingDetector, image: LabelledImage) -> _Photo:
    pixels, _, _ = starter.preprocessing.resize_batch([read_indexed(Path(image.path), image.width, image.height)])
    return _Photo(pixels)
