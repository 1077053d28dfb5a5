"""Command line: `python -m training.starter WORK` trains the starter from nothing."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from training.starter.batches import BatchRules, SceneBatches, load
from training.starter.calibration import calibrate_batch_norm
from training.starter.export import WORKING_SIZE, export
from training.starter.model import build_starter, starter_config
from training.starter.prompts import PromptWriter
from training.starter.stages import DENSE, FULL, StageState, begin, run
from training.starter.states import load_average, load_state, save_state
from training.starter.tokenizer import build_tokenizer

_CALIBRATION_SEED = 2  # scenes that neither training nor measurement sees
_CALIBRATION_BATCHES = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or go on where `WORK` was left; 0 when done, 1 after a line on stderr that says what stands in the way."""
    parser = argparse.ArgumentParser(prog="python -m training.starter", description=__doc__)
    parser.add_argument("work", type=Path, help="folder for states; a training found in it is taken up")
    parser.add_argument("--dense-steps", type=int, default=DENSE.steps)
    parser.add_argument("--full-steps", type=int, default=FULL.steps)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-every", type=int, default=500, help="steps")
    parser.add_argument("--export", type=Path, help="only write the newest weights as a checkpoint into this folder")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        if options.export:
            _export_newest(options.work, options.export)
        else:
            _train(options)
    except Exception as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _train(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    model = build_starter(starter_config(len(tokenizer)))
    dense_file, full_file = options.work / "dense.pt", options.work / "full.pt"
    if not full_file.exists():
        dense = begin(replace(DENSE, steps=options.dense_steps), model)
        _run(dense, tokenizer, dense_file, options.save_every)
        model.load_state_dict(dense.average.model.state_dict())
    _run(begin(replace(FULL, steps=options.full_steps), model), tokenizer, full_file, options.save_every)


def _run(state: StageState, tokenizer: object, file: Path, save_every: int) -> None:
    if file.exists():
        load_state(state, file)
    started, first = time.monotonic(), state.step
    for progress in run(state, tokenizer):
        if progress.step % 50 == 0:
            pace = (time.monotonic() - started) / (progress.step - first)
            losses = " ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
            print(f"{state.config.name} {progress.step}/{state.config.steps} {pace:.2f} s/step {losses}", flush=True)
        if progress.step % save_every == 0 or progress.step == state.config.steps:
            save_state(state, file)


def _export_newest(work: Path, folder: Path) -> None:
    tokenizer = build_tokenizer()
    model = build_starter(starter_config(len(tokenizer)))
    file = next(path for path in (work / "full.pt", work / "dense.pt") if path.exists())
    load_average(model, file)
    rules = BatchRules(longest=(WORKING_SIZE.longest_edge,))
    seen = SceneBatches(PromptWriter(tokenizer), rules, _CALIBRATION_SEED, 0, _CALIBRATION_BATCHES)
    calibrate_batch_norm(model, load(seen, workers=0))
    folder.mkdir(parents=True, exist_ok=True)
    export(model, tokenizer, folder)


if __name__ == "__main__":
    sys.exit(main())
