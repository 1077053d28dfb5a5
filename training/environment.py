"""What a run is made with: versions, the program's own commit, the machine."""

import platform
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

_ROOT = Path(__file__).resolve().parent.parent
_LIBRARIES = ("torch", "transformers", "numpy", "peft", "accelerate")


def environment(device: str, processes: int = 1) -> dict[str, Any]:
    """Facts without which a result can't be had again, as JSON.

    Returns:
        {"versions": {"groundwork", "python", "torch", ...}, "commit", "uncommitted", "device", "device_name",
        "processes"}; "commit" is None, and so is "uncommitted", where the program is no clone.
    """
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {
        "versions": {
            "groundwork": _own_version(),
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        "commit": commit or None,
        "uncommitted": None if changed is None else bool(changed),
        "device": device,
        "device_name": torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor(),
        "processes": processes,
    }


def _own_version() -> str | None:
    path = _ROOT / "pyproject.toml"
    if not path.is_file():
        return None
    found: str = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["version"]
    return found


def _git(*arguments: str) -> str | None:
    """What git says of the program's folder; None where it is no clone or git is absent."""
    command = ["git", *arguments]
    try:
        answer = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
