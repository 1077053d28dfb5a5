"""Products with weights on processors, by whichever of PyTorch's two libraries is faster there.

PyTorch gives float32 products to Intel's MKL, which takes twice as long as oneDNN on AMD's processors; it has both, and
uses oneDNN for bf16, for convolutions, and for what it compiles. Both sum in float32: results differ by rounding.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SHAPE = (1024, 256, 2048)  # a part of a feed-forward layer: rows, inputs, outputs
_TRIES = 5
_WORTH = 0.9  # of MKL's time: less of a gain is not worth another library's rounding
_SMALLEST = 2**16  # multiplications: below, either takes no time

_lock = threading.Lock()


def fast_products(device: torch.device) -> AbstractContextManager[object]:
    """Within it `F.linear`, so every `nn.Linear`, takes the faster library; only where no gradients are wanted."""
    if device.type != "cpu" or not _is_faster():
        return nullcontext()
    return _OneDnn()


class _OneDnn(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.linear and not kwargs and _suits(*args):
            return _linear(*args)
        return func(*args, **(kwargs or {}))


def _suits(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    is_plain = all(tensor is None or tensor.dtype == torch.float32 for tensor in (rows, weight, bias))
    is_large = rows.numel() * weight.shape[0] >= _SMALLEST
    return is_plain and is_large and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


def _linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear` by oneDNN."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return result


def has_onednn() -> bool:
    """Whether this build of PyTorch multiplies by oneDNN, too."""
    is_there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return is_there and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _is_faster() -> bool:
    with _lock:
        return _tried()


@cache
def _tried() -> bool:
    """Whether this build of PyTorch has both, and oneDNN is the faster by a tenth on this processor."""
    if not has_onednn():
        return False
    generator = torch.Generator().manual_seed(0)
    count, inputs, outputs = _SHAPE
    rows, weight = (torch.rand(size, inputs, generator=generator) for size in (count, outputs))
    bias = torch.rand(outputs, generator=generator)
    with torch.no_grad():
        if not torch.allclose(_linear(rows, weight, bias), F.linear(rows, weight, bias), rtol=1e-5):
            return False
        own, usual = (min(_seconds(way, rows, weight, bias) for _ in range(_TRIES)) for way in (_linear, F.linear))
    return own < _WORTH * usual


def _seconds(way: Callable[..., Tensor], *given: Tensor) -> float:
    started = time.perf_counter()
    way(*given)
    return time.perf_counter() - started
