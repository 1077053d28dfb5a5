"""How far the kernel is from `grid_samples`, printed as JSON; run by itself, as Triton's interpreter must come first.

`TRITON_INTERPRET=1 python -m tests.engine.network.kernel_agreement cpu`, or with `cuda` and without the interpreter.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.network.deformable import Shapes, grid_samples, level_sizes
from engine.network.kernel import _samples, agrees, kernel_samples

NAMES = ("samples", "cells", "places", "weights")


@dataclass(frozen=True)
class Case:
    """Sizes of one comparison; each has places outside the picture and around its border."""

    batch: int
    queries: int
    heads: int
    channels: int
    points: int
    shapes: Shapes


CASES = (
    Case(2, 13, 3, 32, 4, ((7, 9), (4, 5), (1, 3))),
    Case(1, 40, 8, 5, 1, ((1, 1), (2, 17))),
    Case(2, 1, 1, 1, 3, ((3, 2),)),
    Case(1, 33, 2, 48, 2, ((5, 5), (3, 3), (2, 2), (1, 1))),
    Case(3, 11, 4, 8, 4, ((8, 1), (1, 8))),
)


def tensors(case: Case, seed: int, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cells, places, weights and a gradient; the first three are not contiguous."""
    generator = torch.Generator().manual_seed(seed)
    levels, rows = len(case.shapes), sum(height * width for height, width in case.shapes)
    own = (case.batch, case.queries, case.heads)
    cells = torch.randn(case.batch, case.heads, case.channels, rows, generator=generator).permute(0, 3, 1, 2)
    places = (torch.rand(*own, levels, 2, case.points, generator=generator) * 1.8 - 0.4).mT
    places = torch.where(torch.rand(places.shape, generator=generator) < 0.1, places.round(), places)
    # The gradient of a place jumps where a cell begins, and rounding would say on which side one lies there.
    sizes = torch.tensor([(width, height) for height, width in case.shapes])[:, None]  # (L, 1, 2)
    in_cells = places * sizes - 0.5
    places = torch.where((in_cells - in_cells.round()).abs() < 1e-4, places + 1e-3 / sizes, places)
    weights = torch.rand(*own, case.points, levels, generator=generator).mT
    gradient = torch.randn(case.batch, case.queries, case.heads * case.channels, generator=generator)
    return cells.to(device), places.to(device), weights.to(device), gradient.to(device)


def results(sampler: Any, given: tuple[Tensor, ...], gradient: Tensor, shapes: Shapes) -> list[Tensor]:
    """The samples and the gradients of cells, places and weights."""
    leaves = [tensor.detach().requires_grad_() for tensor in given]
    taken = sampler(*leaves, shapes)
    return [taken, *torch.autograd.grad(taken, leaves, gradient.to(taken.dtype))]


def differences(case: Case, seed: int, device: str) -> dict[str, float]:
    """The largest of each, in parts of the largest number."""
    *given, gradient = tensors(case, seed, device)
    ours = results(kernel_samples, tuple(given), gradient, case.shapes)
    theirs = results(grid_samples, tuple(given), gradient, case.shapes)
    return {
        name: float((one - other).abs().max() / other.abs().max().clamp_min(1))
        for name, one, other in zip(NAMES, ours, theirs, strict=True)
    }


def half_difference(dtype: torch.dtype, device: str) -> float:
    """Of cells in half precision to the same numbers in float32; the result's own rounding is all there is."""
    cells, places, weights, _ = tensors(CASES[0], 9, device)
    cells = cells.to(dtype)
    taken = kernel_samples(cells, places, weights, CASES[0].shapes)
    exact = grid_samples(cells.float(), places, weights, CASES[0].shapes)
    if taken.dtype != dtype:
        return float("nan")
    return float((taken.float() - exact).abs().max() / exact.abs().max())


def checks(device: str) -> dict[str, str]:
    """PyTorch's own checks of an operator: its schema, its gradient's registration, its shapes without data."""
    case = CASES[1]
    cells, places, weights, _ = tensors(case, 3, device)
    leaves = [tensor.contiguous().requires_grad_() for tensor in (cells, places, weights)]
    levels = level_sizes(case.shapes, torch.device(device))
    return torch.library.opcheck(_samples, (*leaves, levels), raise_exception=False)


def nothing(device: str) -> list[int]:
    """The shape of no queries' samples."""
    cells, places, weights, _ = tensors(CASES[0], 0, device)
    return list(kernel_samples(cells, places[:, :0], weights[:, :0], CASES[0].shapes).shape)


def main(device: str) -> None:
    """Everything, as one JSON document."""
    answers = checks(device)
    document = {
        "differences": [differences(case, seed, device) for case in CASES for seed in range(3)],
        "bfloat16": half_difference(torch.bfloat16, device),
        "float16": half_difference(torch.float16, device),
        "checks": list(answers),
        "failed_checks": [name for name, answer in answers.items() if answer != "SUCCESS"],
        "nothing": nothing(device),
        "agrees": agrees(torch.device(device)),
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main(sys.argv[1])
