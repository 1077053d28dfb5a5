"""A starter's training state on disk."""

from pathlib import Path
from typing import Any

import torch

from common.publish import published_file
from training.errors import StateRefused
from training.starter.stages import StageState


def save_state(state: StageState, path: Path) -> None:
    """Write everything that the stage's next step depends on, whole or not at all."""
    content = {
        "stage": state.config.name,
        "step": state.step,
        "model": state.model.state_dict(),
        "average": state.model.state_dict() | state.average.values,  # statistics of batch norms as they are
        "optimizer": state.optimizer.state_dict(),
    }
    with published_file(path) as temporary:
        torch.save(content, temporary)


def load_state(state: StageState, path: Path) -> None:
    """Put a saved stage into a fresh one of the same settings, in place.

    Raises:
        StateRefused: the file holds another stage.
    """
    content = _read(path)
    if content["stage"] != state.config.name:
        raise StateRefused(f"{path} holds stage {content['stage']!r}, not {state.config.name!r}. Name its own file.")
    state.model.load_state_dict(content["model"])
    for name, value in state.average.values.items():
        value.copy_(content["average"][name])
    state.optimizer.load_state_dict(content["optimizer"])
    state.step = content["step"]


def load_average(model: Any, path: Path) -> None:
    """Put the averaged weights of a saved stage into a model, in place."""
    model.load_state_dict(_read(path)["average"])


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content
