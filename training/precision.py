"""Half precision where a device is faster with it, full precision where it counts."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def autocast(device: str, precision: str) -> AbstractContextManager[Any]:
    """bf16 where it is asked for, or where "auto" finds CUDA with bf16."""
    kind = torch.device(device).type
    auto = kind == "cuda" and torch.cuda.is_bf16_supported()
    if precision == "bf16" or (precision == "auto" and auto):
        return torch.autocast(kind, dtype=torch.bfloat16)
    return nullcontext()


def in_full_precision(outputs: Any) -> Any:
    """The model's answer in float32: a box in 1000 pixels needs more than the 8 bits of bfloat16."""
    return type(outputs)(**{name: _widened(value) for name, value in outputs.items()})


def _widened(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
