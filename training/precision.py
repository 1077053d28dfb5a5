"""Half precision where a device is faster with it."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def autocast(device: str, precision: str) -> AbstractContextManager[Any]:
    """bf16 where it is asked for, or where "auto" finds CUDA with bf16."""
    kind = torch.device(device).type
    auto = kind == "cuda" and torch.cuda.is_bf16_supported()
    if precision == "bf16" or (precision == "auto" and auto):
        return torch.autocast(kind, dtype=torch.bfloat16)
    return nullcontext()


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for products in bf16; a processor that imitates them is many times slower."""
    if device.type == "cpu":
        return any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name)
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
