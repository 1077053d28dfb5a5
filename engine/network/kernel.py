"""A Triton kernel for the sampling of multi-scale deformable attention (Zhu et al., arXiv:2010.04159), with gradients.

One program takes all channels of some pairs of query and head and walks through their places: the channels of a cell
lie side by side in memory, nothing between the cells and the result is ever written, and sums are made in float32
whatever the cells are.
"""

import logging
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from engine.network.deformable import Shapes, grid_samples, level_sizes

_log = logging.getLogger(__name__)

_PAIRS = 32  # of query and head in one program: of 32 channels in bf16 a thread of 4 warps reads 16 bytes at once
_AGREES = 1e-4


def kernel_samples(cells: Tensor, places: Tensor, weights: Tensor, shapes: Shapes) -> Tensor:
    """`engine.network.deformable.grid_samples` by one kernel. Gradients flow to cells, places and weights.

    The gradient of the cells is a sum in no fixed order, as `grid_sample`'s own is on a GPU: its last digits change.

    Args:
        cells: (B, S, H, C) of any floating type.
        places: (B, N, H, L, P, 2), x and y in [0, 1].
        weights: (B, N, H, L, P).
        shapes: of the L levels.

    Returns:
        (B, N, H * C) of the cells' type.
    """
    levels = level_sizes(shapes, cells.device)
    taken: Tensor = _samples(cells.contiguous(), places.float().contiguous(), weights.float().contiguous(), levels)
    return taken


def agrees(device: torch.device) -> bool:
    """Whether the kernel can be built for a device and does on it what `grid_samples` does, on a small example.

    Triton builds it at the first call; some machines lack the C compiler it wants, or have a card it doesn't know.
    """
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 5), (2, 2))
    cells = torch.rand(2, 19, 2, 8, generator=generator).to(device)
    places = (torch.rand(2, 7, 2, 2, 3, 2, generator=generator) * 1.4 - 0.2).to(device)
    weights = torch.rand(2, 7, 2, 2, 3, generator=generator).to(device)
    try:
        ours = _with_gradients(kernel_samples, cells, places, weights, shapes)
    except Exception as error:  # whatever compiler or driver raise: another way is there
        _log.warning(
            "The kernel of deformable attention can't be built for %s; a slower way is taken: %s", device, error
        )
        return False
    theirs = _with_gradients(grid_samples, cells, places, weights, shapes)
    same = all(torch.allclose(*both, rtol=_AGREES, atol=_AGREES) for both in zip(ours, theirs, strict=True))
    if not same:
        _log.warning("The kernel of deformable attention is wrong on %s; a slower way is taken.", device)
    return same


def _with_gradients(sampler: Any, cells: Tensor, places: Tensor, weights: Tensor, shapes: Shapes) -> list[Tensor]:
    given = [tensor.clone().requires_grad_() for tensor in (cells, places, weights)]
    with torch.enable_grad(), torch.autocast(cells.device.type, enabled=False):
        taken = sampler(*given, shapes)
        return [taken, *torch.autograd.grad(taken.square().sum(), given)]


@torch.library.custom_op("groundwork::deformable_samples", mutates_args=())
def _samples(cells: Tensor, places: Tensor, weights: Tensor, levels: Tensor) -> Tensor:
    """Of contiguous tensors; `levels` (L, 3) int32: height, width and first row of each."""
    taken = cells.new_empty(*places.shape[:2], cells.shape[2] * cells.shape[3])
    _launch(_forward, cells, places, weights, levels, taken)
    return taken


@_samples.register_fake
def _(cells: Tensor, places: Tensor, weights: Tensor, levels: Tensor) -> Tensor:
    return cells.new_empty(*places.shape[:2], cells.shape[2] * cells.shape[3])


@torch.library.custom_op("groundwork::deformable_gradients", mutates_args=())
def _gradients(
    gradient: Tensor, cells: Tensor, places: Tensor, weights: Tensor, levels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of what `_samples` gives to its cells (float32), places and weights."""
    of_cells = torch.zeros_like(cells, dtype=torch.float32)  # many places add to one cell
    of_places, of_weights = torch.empty_like(places), torch.empty_like(weights)
    _launch(_backward, cells, places, weights, levels, gradient, of_cells, of_places, of_weights)
    return of_cells, of_places, of_weights


@_gradients.register_fake
def _(
    gradient: Tensor, cells: Tensor, places: Tensor, weights: Tensor, levels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(cells, dtype=torch.float32), torch.empty_like(places), torch.empty_like(weights)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradient(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    cells, *others = ctx.saved_tensors
    of_cells, of_places, of_weights = _gradients(gradient.contiguous(), cells, *others)
    return of_cells.to(cells.dtype), of_places, of_weights, None


_samples.register_autograd(_gradient, setup_context=_save)


def _launch(kernel: Any, cells: Tensor, places: Tensor, weights: Tensor, levels: Tensor, *others: Tensor) -> None:
    """Run a kernel over all pairs of query and head."""
    batch, rows, heads, size = cells.shape
    _, count, _, depth, points = weights.shape
    pairs = batch * count * heads
    if pairs == 0:
        return
    with torch.cuda.device_of(cells):  # type: ignore[no-untyped-call]
        kernel[triton.cdiv(pairs, _PAIRS),](
            cells,
            places,
            weights,
            levels,
            *others,
            pairs,
            count * heads,
            rows,
            HEADS=heads,
            SIZE=size,
            LEVELS=depth,
            POINTS=points,
            PAIRS=_PAIRS,
            CHANNELS=triton.next_power_of_2(size),
        )


@triton.jit  # type: ignore[untyped-decorator]
def _corner(first, column, row, width, height, SIDE: tl.constexpr):  # type: ignore[no-untyped-def]
    """The offset of a cell from the first of its picture and head, and whether there is such a cell."""
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return (first + row * width + column) * SIDE, inside


@triton.jit  # type: ignore[untyped-decorator]
def _forward(  # type: ignore[no-untyped-def]
    cells,
    places,
    weights,
    levels,
    taken,
    pairs,
    pairs_of_picture,
    rows,
    HEADS: tl.constexpr,
    SIZE: tl.constexpr,
    LEVELS: tl.constexpr,
    POINTS: tl.constexpr,
    PAIRS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    pair = tl.program_id(0).to(tl.int64) * PAIRS + tl.arange(0, PAIRS)  # b, n and h in one number
    there = pair < pairs
    channel = tl.arange(0, CHANNELS)[None, :]
    whole = there[:, None] & (channel < SIZE)
    own = cells + ((pair // pairs_of_picture) * rows * HEADS + pair % HEADS)[:, None] * SIZE + channel
    total = tl.zeros((PAIRS, CHANNELS), tl.float32)
    for level in range(LEVELS):
        height, width = tl.load(levels + 3 * level), tl.load(levels + 3 * level + 1)
        first = tl.load(levels + 3 * level + 2)
        for point in tl.static_range(POINTS):
            number = (pair * LEVELS + level) * POINTS + point
            weight = tl.load(weights + number, mask=there, other=0.0)
            x = tl.load(places + 2 * number, mask=there, other=0.0) * width - 0.5
            y = tl.load(places + 2 * number + 1, mask=there, other=0.0) * height - 0.5
            left, top = tl.floor(x), tl.floor(y)
            column, row = left.to(tl.int32), top.to(tl.int32)
            for down in tl.static_range(2):
                for across in tl.static_range(2):
                    offset, inside = _corner(first, column + across, row + down, width, height, HEADS * SIZE)
                    values = tl.load(own + offset[:, None], mask=whole & inside[:, None], other=0.0).to(tl.float32)
                    wide = x - left if across else 1 - (x - left)
                    high = y - top if down else 1 - (y - top)
                    total += values * (wide * high * weight)[:, None]
    tl.store(taken + pair[:, None] * SIZE + channel, total.to(taken.dtype.element_ty), mask=whole)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(  # type: ignore[no-untyped-def]
    cells,
    places,
    weights,
    levels,
    gradient,
    of_cells,
    of_places,
    of_weights,
    pairs,
    pairs_of_picture,
    rows,
    HEADS: tl.constexpr,
    SIZE: tl.constexpr,
    LEVELS: tl.constexpr,
    POINTS: tl.constexpr,
    PAIRS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    pair = tl.program_id(0).to(tl.int64) * PAIRS + tl.arange(0, PAIRS)
    there = pair < pairs
    channel = tl.arange(0, CHANNELS)[None, :]
    whole = there[:, None] & (channel < SIZE)
    own = ((pair // pairs_of_picture) * rows * HEADS + pair % HEADS)[:, None] * SIZE + channel
    asked = tl.load(gradient + pair[:, None] * SIZE + channel, mask=whole, other=0.0).to(tl.float32)
    for level in range(LEVELS):
        height, width = tl.load(levels + 3 * level), tl.load(levels + 3 * level + 1)
        first = tl.load(levels + 3 * level + 2)
        for point in range(POINTS):
            number = (pair * LEVELS + level) * POINTS + point
            weight = tl.load(weights + number, mask=there, other=0.0)
            x = tl.load(places + 2 * number, mask=there, other=0.0) * width - 0.5
            y = tl.load(places + 2 * number + 1, mask=there, other=0.0) * height - 0.5
            left, top = tl.floor(x), tl.floor(y)
            column, row = left.to(tl.int32), top.to(tl.int32)
            of_weight = tl.zeros((PAIRS,), tl.float32)
            of_x = tl.zeros((PAIRS,), tl.float32)
            of_y = tl.zeros((PAIRS,), tl.float32)
            for down in tl.static_range(2):
                for across in tl.static_range(2):
                    offset, inside = _corner(first, column + across, row + down, width, height, HEADS * SIZE)
                    seen = whole & inside[:, None]
                    values = tl.load(cells + own + offset[:, None], mask=seen, other=0.0).to(tl.float32)
                    wide = x - left if across else 1 - (x - left)
                    high = y - top if down else 1 - (y - top)
                    share = (wide * high * weight)[:, None]
                    tl.atomic_add(of_cells + own + offset[:, None], asked * share, mask=seen, sem="relaxed")
                    worth = tl.sum(values * asked, 1)  # of this corner, were it taken whole
                    of_weight += wide * high * worth
                    of_x += (high if across else -high) * worth
                    of_y += (wide if down else -wide) * worth
            tl.store(of_weights + number, of_weight, mask=there)
            tl.store(of_places + 2 * number, of_x * weight * width, mask=there)
            tl.store(of_places + 2 * number + 1, of_y * weight * height, mask=there)
