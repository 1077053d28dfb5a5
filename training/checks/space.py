"""The disk space a run needs for its state and its checkpoint."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from training.checks.problem import Problem, error
from training.config import TrainConfig
from training.parameters import part_of

_BYTES = 4  # float32
_COPIES = 5  # weights, average, best, and Adam's two moments
_MIB = 2**20


def check_space(folder: Path, model: nn.Module, config: TrainConfig) -> Iterator[Problem]:
    """Whether `folder` has room: a state is written beside the one before it, then the checkpoint.

    Args:
        folder: the workspace, or any folder on its disk.
        model: the detector's.
        config: says what learns.
    """
    needed = needed_bytes(model, config)
    free = shutil.disk_usage(_there(folder)).free
    if free < needed:
        room = f"{str(folder)!r} has {free / _MIB:,.0f}"
        what = f"A run needs {needed / _MIB:,.0f} MiB for its state and checkpoint, and {room}"
        yield error("disk_full", what, "Free some space, delete old runs, or use another workspace.")


def needed_bytes(model: nn.Module, config: TrainConfig) -> int:
    """Bytes of two states and a checkpoint."""
    sizes = {name: value.numel() for name, value in model.named_parameters()}
    learning = sum(size for name, size in sizes.items() if _may_learn(name, config))
    return (2 * _COPIES * learning + sum(sizes.values())) * _BYTES


def _may_learn(name: str, config: TrainConfig) -> bool:
    part = part_of(name)
    whole = config.lora_rank == 0 or part == "heads"  # adapters are small against what they adapt
    return whole and config.rate_of(part) > 0


def _there(folder: Path) -> Path:
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
