"""The time of a computation's matrix products and convolutions alone, below which nothing in it can go."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_PRODUCTS = {
    torch.ops.aten.mm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten.baddbmm.default,
    torch.ops.aten.convolution.default,
    torch.ops.mkldnn._linear_pointwise.default,  # see `engine.products`
}

_Call = tuple[Any, tuple[Any, ...]]


def floor_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """How long the products of `work` take by themselves, on numbers of the same shapes; the best of some repeats.

    `work` is done once, to see its products.
    """
    seen = _Products()
    with torch.no_grad(), seen:
        work()
    total = 0.0
    with torch.no_grad():
        for (product, shapes), times in seen.calls.items():
            arguments = [_like(shape) for shape in shapes]
            product(*arguments)
            best = float("inf")
            for _ in range(repeats):
                started = time.perf_counter()
                product(*arguments)
                best = min(best, time.perf_counter() - started)
            total += best * times
    return total


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts products by their shapes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[_Call] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _PRODUCTS:
            self.calls[func, tuple(_shape(argument) for argument in args)] += 1
        return func(*args, **(kwargs or {}))


def _shape(argument: Any) -> Any:
    """What is needed to make such an argument again: of a tensor, its size, strides and type."""
    if isinstance(argument, Tensor):
        return ("tensor", tuple(argument.shape), argument.stride(), argument.dtype)
    return tuple(argument) if isinstance(argument, list) else argument


def _like(shape: Any) -> Any:
    if isinstance(shape, tuple) and shape and shape[0] == "tensor":
        _, size, strides, dtype = shape
        return torch.empty_strided(size, strides, dtype=dtype).uniform_(-1, 1)
    return list(shape) if isinstance(shape, tuple) else shape
