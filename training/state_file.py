"""The state of a training from nothing as one file of tensors and plain values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from common.publish import published_file
from training.errors import StateRefused


def write_state_file(path: Path, content: Mapping[str, Any]) -> None:
    """Write it whole or not at all."""
    with published_file(path) as temporary:
        torch.save(dict(content), temporary)


def one_line(error: Exception) -> str:
    """What torch says in many lines, cut short."""
    return " ".join(str(error).split())[:200]


def read_state_file(path: Path, keys: frozenset[str]) -> dict[str, Any]:
    """What `write_state_file` wrote, on the CPU; nothing in the file is run.

    Args:
        path: the file.
        keys: what must be in it.

    Raises:
        StateRefused: the file is broken, or no training's state.
        FileNotFoundError: there is none.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # whatever torch meets in a file that is none of ours
        raise StateRefused(f"{path} cannot be read ({type(error).__name__}). Delete it to start anew.") from error
    if not isinstance(content, dict) or not keys <= content.keys():
        raise StateRefused(f"{path} holds no training's state. Delete it, or name another folder.")
    return content
