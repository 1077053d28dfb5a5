"""A starter's training state on disk."""

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from training.errors import StateRefused
from training.starter.stages import StageState
from training.state_file import one_line, read_state_file, write_state_file

_KEYS = frozenset({"stage", "seed", "step", "model", "reader", "average", "optimizer"})


def save_state(state: StageState, path: Path) -> None:
    """Write everything that the stage's next step depends on, whole or not at all."""
    content = {
        "stage": state.config.name,
        "seed": state.config.seed,
        "step": state.step,
        "model": state.model.state_dict(),
        "reader": state.reader.state_dict(),
        "average": state.model.state_dict() | state.average.values,  # statistics of batch norms as they are
        "optimizer": state.optimizer.state_dict(),
    }
    write_state_file(path, content)


def load_state(state: StageState, path: Path) -> None:
    """Put a saved stage into a fresh one of the same settings, in place.

    Raises:
        StateRefused: the file is broken, or holds another stage, seed or network, or more steps than are wanted.
    """
    content, config = read_state_file(path, _KEYS), state.config
    if content["stage"] != config.name:
        raise StateRefused(f"{path} holds stage {content['stage']!r}, not {config.name!r}. Name its own file.")
    if content["seed"] != config.seed:
        raise StateRefused(f"{path} was begun with another --seed. Go on with that one, or name another folder.")
    if content["step"] > config.steps:
        raise StateRefused(f"{path} is at step {content['step']}, and {config.steps} are wanted. Ask for more steps.")
    _load(state.model, content["model"], path)
    try:
        for name, value in state.average.values.items():
            value.copy_(content["average"][name])
        state.reader.load_state_dict(content["reader"])
        state.optimizer.load_state_dict(content["optimizer"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise StateRefused(f"{path} holds a training with other settings: {one_line(error)}") from error
    state.step = content["step"]


def load_average(model: Any, path: Path) -> None:
    """Put the averaged weights of a saved stage into a model, in place.

    Raises:
        StateRefused: the file is broken, or holds another network.
    """
    _load(model, read_state_file(path, _KEYS)["average"], path)


def load_checkpoint(model: Any, folder: Path) -> None:
    """Put the weights of an exported starter into a model, in place; batch norms get the statistics of frozen ones.

    Raises:
        StateRefused: there are no weights, or those of another network.
    """
    file = folder / "model.safetensors"
    try:
        weights = {name: value.float() for name, value in load_file(file).items()}
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise StateRefused(f"{file} holds no starter of this shape: {one_line(error)}") from error
    tensors = model.state_dict(keep_vars=True)
    held = {id(tensors[name]) for name in weights if name in tensors}  # some weights have several names
    lost = [name for name in missing if id(tensors[name]) not in held and not name.endswith("num_batches_tracked")]
    if lost or unexpected:
        raise StateRefused(f"{file} holds no starter of this shape: it lacks {lost[:3]}, it has {unexpected[:3]} more.")


@torch.no_grad()
def blend(model: Any, folder: Path, share: float) -> None:
    """Move a model's numbers by `share`, from 0 to 1, of the way to those of an exported starter, in place.

    A short training that shows more of one thing costs some of another; weights on the way back to where it began keep
    most of both (WiSE-FT, Wortsman et al., arXiv:2109.01903).

    Raises:
        StateRefused: there are no weights, or those of another network.
    """
    other = copy.deepcopy(model)
    load_checkpoint(other, folder)
    for own, began in zip(_numbers(model), _numbers(other), strict=True):
        own.lerp_(began, share)


def _numbers(model: Any) -> list[Tensor]:
    """Its parameters and statistics, each once."""
    return [tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()]


def _load(model: Any, weights: dict[str, Any], path: Path) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise StateRefused(f"{path} holds no starter of this shape: {one_line(error)}") from error
