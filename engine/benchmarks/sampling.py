"""The sampling of one encoder layer's deformable attention by itself, against the bytes that it has to move."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.network.deformable import Sampler, Shapes, grid_samples, kernel_or, weighted_bags
from engine.network.grid import grid_of

FULL_SHAPES: Shapes = ((100, 134), (50, 67), (25, 34), (13, 17))  # of a picture of 800 x 1066 px

_HEADS, _SIZE, _POINTS = 8, 32, 4
_REACH = 4.0  # cells from a query's own that places lie away, about
_SETS = 3  # of inputs, used in turn: together they are more than a GPU's cache holds
_LAUNCHES = 12  # of which one time is the mean
_COPIED = 2**28  # bytes: several times a GPU's cache


@dataclass(frozen=True)
class Samples:
    """What one call samples; letters as in `engine.network.deformable`.

    Attributes:
        cells: (B, S, H, C).
        places: (B, N, H, L, P, 2) float32.
        weights: (B, N, H, L, P) float32.
        shapes: of the levels.
    """

    cells: Tensor
    places: Tensor
    weights: Tensor
    shapes: Shapes

    def taken(self, sampler: Sampler) -> Tensor:
        """The result, (B, N, H * C)."""
        return sampler(self.cells, self.places, self.weights, self.shapes)

    def with_gradients(self, sampler: Sampler) -> tuple[Tensor, ...]:
        """Forward and backward: the gradients of all three inputs."""
        leaves = [tensor.detach().requires_grad_() for tensor in (self.cells, self.places, self.weights)]
        with torch.enable_grad():
            taken = sampler(leaves[0], leaves[1], leaves[2], self.shapes)
            return torch.autograd.grad(taken, leaves, torch.ones_like(taken))

    @property
    def least_bytes(self) -> int:
        """Each input read once, the result written once."""
        batch, _, heads, size = self.cells.shape
        taken = batch * self.places.shape[1] * heads * size * self.cells.element_size()
        return taken + sum(part.numel() * part.element_size() for part in (self.cells, self.places, self.weights))


def samples_of(shapes: Shapes, device: torch.device, dtype: torch.dtype, seed: int = 0) -> Samples:
    """An encoder layer's: every cell is a query that looks around itself on all levels."""
    generator = torch.Generator().manual_seed(seed)
    centres = grid_of(shapes).centres[:, :, None, None, None]  # (1, N, 1, 1, 1, 2)
    count, levels = centres.shape[1], len(shapes)
    sizes = torch.tensor([[width, height] for height, width in shapes])[:, None]  # (L, 1, 2)
    offsets = torch.randn(1, count, _HEADS, levels, _POINTS, 2, generator=generator) * _REACH
    weights = torch.randn(1, count, _HEADS, levels * _POINTS, generator=generator).softmax(-1)
    cells = torch.randn(1, count, _HEADS, _SIZE, generator=generator)
    return Samples(
        cells.to(device, dtype),
        (centres + offsets / sizes).to(device),
        weights.view(1, count, _HEADS, levels, _POINTS).to(device),
        shapes,
    )


@torch.no_grad()
def measure(device: torch.device, repeats: int, shapes: Shapes = FULL_SHAPES) -> dict[str, float]:
    """The kernel in bf16 beside the other ways, forward alone and with gradients, and beside a copy of memory.

    Where no kernel runs, the rows are of what stands in for it, weighted bags.

    Returns:
        "kernel_seconds" of a layer; "kernel_ratio", "kernel_ratio_grid" the time of weighted bags and of `grid_sample`
        over it; "kernel_gradient_ratio" of bags, with gradients; "copy_bytes_per_second", read and written;
        "kernel_bytes_per_second"; "kernel_over_bytes" its time over the time of so many bytes at the copy's rate.
    """
    sets = [samples_of(shapes, device, torch.bfloat16, seed) for seed in range(_SETS)]
    ways = (kernel_or(weighted_bags), weighted_bags, grid_samples)
    kernel, bags, grid = _in_turns([_each(way, sets) for way in ways], repeats, device)
    with_kernel, with_bags = _in_turns([_each_back(way, sets) for way in ways[:2]], repeats, device)
    source = torch.empty(_COPIED, dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(source)
    (copy,) = _in_turns([lambda _: target.copy_(source)], repeats, device)
    moved, rate = sets[0].least_bytes, 2 * _COPIED / copy
    return {
        "kernel_seconds": kernel,
        "kernel_ratio": bags / kernel,
        "kernel_ratio_grid": grid / kernel,
        "kernel_gradient_ratio": with_bags / with_kernel,
        "copy_bytes_per_second": rate,
        "kernel_bytes_per_second": moved / kernel,
        "kernel_over_bytes": kernel / (moved / rate),
    }


def measure_learning(device: torch.device, repeats: int, shapes: Shapes = FULL_SHAPES) -> dict[str, float]:
    """A layer in float32 with its gradients, as fine-tuning runs it: by what the device takes, and by `grid_sample`.

    Returns:
        "learning_seconds" of a layer there and back, "learning_ratio" the time of `grid_sample` over it.
    """
    sets = [samples_of(shapes, device, torch.float32, seed) for seed in range(_SETS)]
    ours, grid = _in_turns([_each_back(way, sets) for way in (kernel_or(weighted_bags), grid_samples)], repeats, device)
    return {"learning_seconds": ours, "learning_ratio": grid / ours}


def _each(sampler: Sampler, sets: Sequence[Samples]) -> Callable[[int], object]:
    return lambda number: sets[number % len(sets)].taken(_like_autocast(sampler))


def _each_back(sampler: Sampler, sets: Sequence[Samples]) -> Callable[[int], object]:
    return lambda number: sets[number % len(sets)].with_gradients(sampler)


def _like_autocast(sampler: Sampler) -> Sampler:
    """`grid_sample` wants cells and grid of one type; in a network autocast sees to it."""
    if sampler is not grid_samples:
        return sampler
    return lambda cells, places, weights, shapes: grid_samples(cells.float(), places, weights, shapes)


def _in_turns(ways: Sequence[Callable[[int], object]], repeats: int, device: torch.device) -> list[float]:
    """The median seconds of a launch of each way, which take turns; on a GPU by its own events, warm."""
    launches = _LAUNCHES if device.type == "cuda" else 1
    for way in ways:
        for number in range(_SETS):
            way(number)
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        for way, found in zip(ways, seconds, strict=True):
            found.append(_seconds(way, launches, device) / launches)
    return [statistics.median(found) for found in seconds]


def _seconds(way: Callable[[int], object], launches: int, device: torch.device) -> float:
    if device.type != "cuda":
        started = time.perf_counter()
        for number in range(launches):
            way(number)
        return time.perf_counter() - started
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize(device)
    first.record()
    for number in range(launches):
        way(number)
    last.record()
    torch.cuda.synchronize(device)
    return float(first.elapsed_time(last)) / 1000
