"""Command line: `python -m training.segmenter WORK` trains the starter segmenter from nothing."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from common.arguments import positive
from common.publish import published_files
from engine.errors import EngineError
from training.errors import TrainingError
from training.heap import keep_freed_memory
from training.segmenter.course import (
    COARSE,
    FINE,
    CourseConfig,
    CourseState,
    averaged,
    begin,
    load_state,
    run,
    save_state,
)
from training.segmenter.export import export
from training.segmenter.model import enlarge
from training.segmenter.places import learn_places
from training.worlds.sprites import FontMissing, find_font

_PLACES_STEPS = 800
_PRINT_EVERY = 50  # steps


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or go on where `WORK` was left; 0 when done, 1 after a line on stderr that says what stands in the way."""
    parser = argparse.ArgumentParser(prog="python -m training.segmenter", description=__doc__)
    parser.add_argument("work", type=Path, help="folder for states; a training found in it is taken up")
    parser.add_argument("--coarse-steps", type=positive, default=COARSE.steps)
    parser.add_argument("--fine-steps", type=positive, default=FINE.steps)
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--save-every", type=positive, default=100, help="steps")
    parser.add_argument("--export", type=Path, help="only write the newest weights as a checkpoint into this folder")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    coarse, fine = replace(COARSE, steps=options.coarse_steps), replace(FINE, steps=options.fine_steps)
    try:
        if options.export:
            _export(options.work, fine, options.export)
        else:
            find_font()  # a process that renders ahead would say it in many lines
            _train(options.work, coarse, fine, options.save_every)
    except (EngineError, FontMissing, OSError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _train(work: Path, coarse: CourseConfig, fine: CourseConfig, save_every: int) -> None:
    state = _taken_up(work, fine)
    if not state.step:
        first = _taken_up(work, coarse)
        if not first.step:
            _learn_places(first)
        _run(work, first, save_every)
        with first.average.applied():
            enlarge(first.model, state.model)
        state.head.load_state_dict(first.head.state_dict())
        state.average = averaged(state.model, fine)
    _run(work, state, save_every)


def _learn_places(state: CourseState) -> None:
    for step, dice in enumerate(learn_places(state.model, _PLACES_STEPS, state.config.seed), start=1):
        if step % _PRINT_EVERY == 0:
            print(f"places {step}/{_PLACES_STEPS} dice {dice:.3f}", flush=True)
    state.average = averaged(state.model, state.config)


def _taken_up(work: Path, config: CourseConfig) -> CourseState:
    """A course as it was left, or at its first step."""
    state = begin(config)
    if _file(work, config).exists():
        load_state(state, _file(work, config))
    return state


def _run(work: Path, state: CourseState, save_every: int) -> None:
    config = state.config
    started, first = time.monotonic(), state.step
    sums: dict[str, float] = {}
    for progress in run(state):
        for name, value in progress.losses.items():
            sums[name] = sums.get(name, 0.0) + value
        if progress.step % _PRINT_EVERY == 0:
            pace = (time.monotonic() - started) / (progress.step - first)
            losses = " ".join(f"{name} {value / _PRINT_EVERY:.3f}" for name, value in sums.items())
            print(f"{config.name} {progress.step}/{config.steps} {pace:.2f} s/step {losses}", flush=True)
            sums.clear()
        if progress.step % save_every == 0 or progress.step == config.steps:
            save_state(state, _file(work, config))


def _export(work: Path, config: CourseConfig, folder: Path) -> None:
    if not _file(work, config).exists():
        raise FileNotFoundError(
            f"{_file(work, config)} is not there. Train with `python -m training.segmenter {work}`."
        )
    state = _taken_up(work, config)
    with published_files(folder) as aside, state.average.applied():
        export(state.model, aside)


def _file(work: Path, config: CourseConfig) -> Path:
    return work / f"{config.name}.pt"


if __name__ == "__main__":
    sys.exit(main())
