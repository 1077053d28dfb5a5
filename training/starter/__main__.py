"""Command line: `python -m training.starter WORK` trains the starter from nothing."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from common.arguments import fraction, natural, positive
from common.publish import published_files
from engine.checkpoints import load_detector
from engine.devices import pick_device
from engine.errors import EngineError
from training.benchmarks.starter import StarterBenchmark
from training.errors import TrainingError
from training.heap import keep_freed_memory
from training.processes import Processes, joined
from training.starter.batches import BatchRules, SceneBatches, load
from training.starter.calibration import calibrate_batch_norm
from training.starter.export import WORKING_SIZE, export
from training.starter.model import build_starter, starter_config
from training.starter.prompts import PromptWriter
from training.starter.scores import best_threshold, move_scores
from training.starter.stages import DENSE, FULL, FURTHER, StageConfig, begin, run
from training.starter.states import blend, load_average, load_checkpoint, load_state, save_state
from training.starter.tokenizer import build_tokenizer
from training.worlds.sprites import FontMissing, find_font

_CALIBRATION_SEED = 41_506_318  # scenes that neither training nor measurement sees
_CALIBRATION_BATCHES = 60
_PRINT_EVERY = 50  # steps
_MOVES = 3  # of scores, at most: names of several tokens do not follow the first one quite
_SHOWN_FROM = StarterBenchmark().threshold


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or go on where `WORK` was left; 0 when done, 1 after a line on stderr that says what stands in the way."""
    parser = argparse.ArgumentParser(prog="python -m training.starter", description=__doc__)
    parser.add_argument("work", type=Path, help="folder for states; a training found in it is taken up")
    parser.add_argument("--dense-steps", type=positive, default=DENSE.steps, help="of stage A")
    steps_of_b = f"of stage B ({FULL.steps}; {FURTHER.steps} after --weights)"
    parser.add_argument("--full-steps", type=positive, help=steps_of_b)
    parser.add_argument("--scenes", type=positive, default=BatchRules().scenes, help="in a step of each process")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--workers", type=natural, default=1, help="processes that render ahead; a GPU needs about 10")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--weights", type=Path, help="folder of an exported starter that stage B goes on from; without A"
    )
    parser.add_argument(
        "--keep", type=fraction, default=0.0, help="part of --weights in what --export writes, from 0 to 1"
    )
    parser.add_argument("--seed", type=natural, default=0, help="another one shows other scenes")
    parser.add_argument("--save-every", type=positive, default=200, help="steps")
    parser.add_argument("--export", type=Path, help="only write the newest weights as a checkpoint into this folder")
    options = parser.parse_args(arguments)
    if options.keep and not options.weights:
        parser.error("--keep needs --weights, the folder of which a part is kept")
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    full = FURTHER if options.weights else FULL
    stages = tuple(
        replace(
            stage,
            steps=stage.steps if steps is None else steps,
            seed=stage.seed + 2 * options.seed,  # stages A and B never share one
            batches=replace(stage.batches, scenes=options.scenes),
        )
        for stage, steps in ((DENSE, options.dense_steps), (full, options.full_steps))
    )
    if options.weights:
        stages = stages[-1:]
    try:
        find_font()  # a process that renders ahead would say it in many lines
        if options.export:
            _export_newest(options.work, options.export, options.weights, options.keep)
        else:
            with joined() as processes:
                device = pick_device(processes.device(options.device))
                training = Training(options.work, stages, options.save_every, device, options.workers, options.weights)
                _train(training, processes)
    except (EngineError, FontMissing, OSError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


@dataclass(frozen=True)
class Training:
    """What is trained, where, and with how many processes that render for each one that trains."""

    work: Path
    stages: Sequence[StageConfig]
    save_every: int  # steps
    device: torch.device
    workers: int
    weights: Path | None = None  # an exported starter that the first stage goes on from


def _train(training: Training, processes: Processes) -> None:
    training.work.mkdir(parents=True, exist_ok=True)
    newest = _newest(training.work, training.stages) or training.stages[0]
    for index in range(training.stages.index(newest), len(training.stages)):
        _run_stage(training, index, processes)


def _run_stage(training: Training, index: int, processes: Processes) -> None:
    processes.exchange(None)  # the file of the stage before is written
    stage, file = training.stages[index], _file(training.work, training.stages[index])
    tokenizer = build_tokenizer()
    model = build_starter(starter_config(len(tokenizer)))
    if index:
        load_average(model, _file(training.work, training.stages[index - 1]))
    if training.weights:
        load_checkpoint(model, training.weights)
    state = begin(stage, model, training.device)
    if file.exists():
        load_state(state, file)
    started, first = time.monotonic(), state.step
    for progress in run(state, tokenizer, training.workers, processes):
        if not processes.leads:
            continue
        if progress.step % _PRINT_EVERY == 0:
            pace = (time.monotonic() - started) / (progress.step - first)
            left = timedelta(seconds=round(pace * (stage.steps - progress.step)))
            losses = " ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
            print(f"{stage.name} {progress.step}/{stage.steps} {pace:.2f} s/step {left} left {losses}", flush=True)
        if progress.step % training.save_every == 0 or progress.step == stage.steps:
            save_state(state, file)


def _export_newest(work: Path, folder: Path, weights: Path | None, keep: float) -> None:
    stage = _newest(work, (DENSE, FULL, FURTHER))
    if stage is None:
        raise FileNotFoundError(f"{work} holds no training. Start one with `python -m training.starter {work}`.")
    tokenizer = build_tokenizer()
    model = build_starter(starter_config(len(tokenizer)))
    load_average(model, _file(work, stage))
    if weights:
        blend(model, weights, keep)
    _calibrate(model, tokenizer)
    if stage.name != DENSE.name:
        _put_threshold(model, tokenizer)
    with published_files(folder) as aside:
        export(model, tokenizer, aside)


def _put_threshold(model: Any, tokenizer: Any) -> None:
    """Move scores until the best quiet threshold is the one that people start with, or nearly so."""
    for _ in range(_MOVES):
        with tempfile.TemporaryDirectory() as trial:
            export(model, tokenizer, Path(trial))
            threshold = best_threshold(load_detector(trial, device="cpu"))
        print(f"{threshold:g} is the best quiet threshold: its score becomes {_SHOWN_FROM:g}.", flush=True)
        if threshold == _SHOWN_FROM:
            return
        move_scores(model, threshold, _SHOWN_FROM)


def _newest(work: Path, stages: Sequence[StageConfig]) -> StageConfig | None:
    found = [stage for stage in stages if _file(work, stage).exists()]
    return found[-1] if found else None


def _file(work: Path, stage: StageConfig) -> Path:
    return work / f"{stage.name}.pt"


def _calibrate(model: Any, tokenizer: Any) -> None:
    rules = BatchRules(longest=(WORKING_SIZE.longest_edge,), drawn=FULL.batches.drawn, told_share=0.15)
    seen = SceneBatches(PromptWriter(tokenizer), rules, _CALIBRATION_SEED, 0, _CALIBRATION_BATCHES)
    calibrate_batch_norm(model, load(seen, workers=0))


if __name__ == "__main__":
    sys.exit(main())
