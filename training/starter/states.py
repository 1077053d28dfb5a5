"""A starter's training state on disk."""

from pathlib import Path
from typing import Any

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
