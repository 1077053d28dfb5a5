"""A starter's training state on disk."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from training.errors import StateRefused
from training.starter.stages import StageState
from training.state_file import read_state_file, write_state_file

_KEYS = frozenset({"stage", "step", "model", "average", "optimizer"})


def save_state(state: StageState, path: Path) -> None:
    """Write everything that the stage's next step depends on, whole or not at all."""
    content = {
        "stage": state.config.name,
        "step": state.step,
        "model": state.model.state_dict(),
        "average": state.model.state_dict() | state.average.values,  # statistics of batch norms as they are
        "optimizer": state.optimizer.state_dict(),
    }
    write_state_file(path, content)


def load_state(state: StageState, path: Path) -> None:
    """Put a saved stage into a fresh one of the same settings, in place.

    Raises:
        StateRefused: the file is broken, or holds another stage.
    """
    content = read_state_file(path, _KEYS)
    if content["stage"] != state.config.name:
        raise StateRefused(f"{path} holds stage {content['stage']!r}, not {state.config.name!r}. Name its own file.")
    state.model.load_state_dict(content["model"])
    for name, value in state.average.values.items():
        value.copy_(content["average"][name])
    state.optimizer.load_state_dict(content["optimizer"])
    state.step = content["step"]


def load_average(model: Any, path: Path) -> None:
    """Put the averaged weights of a saved stage into a model, in place."""
    model.load_state_dict(read_state_file(path, _KEYS)["average"])


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
        reason = " ".join(str(error).split())
        raise StateRefused(f"{file} holds no starter of this shape: {reason[:200]}") from error
    tensors = model.state_dict(keep_vars=True)
    held = {id(tensors[name]) for name in weights if name in tensors}  # some weights have several names
    lost = [name for name in missing if id(tensors[name]) not in held and not name.endswith("num_batches_tracked")]
    if lost or unexpected:
        raise StateRefused(f"{file} holds no starter of this shape: it lacks {lost[:3]}, it has {unexpected[:3]} more.")
