"""Which device a model runs on."""

import torch

from engine.errors import EngineError


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; for "auto" cuda, then mps, then cpu, whichever is there first.

    Raises:
        EngineError: the name is unknown, or this machine has no such device.
    """
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EngineError(f"Device {name!r} is unknown. Use auto, cpu, cuda, cuda:N or mps.") from error
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise EngineError(f"Device {name!r} is not on this machine. Use --device auto or cpu.")
    return device


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """bfloat16 on a CUDA device that has it, else None: full precision. Cards that only imitate it are slower by it."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return None
