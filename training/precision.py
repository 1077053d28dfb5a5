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
