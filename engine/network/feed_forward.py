"""The two layers behind each attention, of many times the width between them."""

from typing import Any

import torch
from torch import Tensor

_CELLS_AT_ONCE = 1024  # their 2,048 numbers each are 8 MB, which stay in a processor's cache


def feed_forward(layer: Any, activation: Any, hidden: Tensor) -> Tensor:
    """`fc2(activation(fc1(hidden)))` of a layer, (B, N, D)."""
    result: Tensor = layer.fc2(activation(layer.fc1(hidden)))
    return result


def feed_forward_in_parts(layer: Any, activation: Any, hidden: Tensor) -> Tensor:
    """The same, some cells after others: on a CPU what lies between the layers then never leaves its cache.

    Where gradients are wanted it has to be kept anyway, and a GPU likes it large: there all at once.
    """
    if hidden.device.type != "cpu" or torch.is_grad_enabled():
        return feed_forward(layer, activation, hidden)
    return torch.cat([feed_forward(layer, activation, part) for part in torch.split(hidden, _CELLS_AT_ONCE, 1)], 1)
