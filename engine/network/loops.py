"""Loops that numba compiles for the sampling of multi-scale deformable attention on a processor, with gradients.

For each query and head one loop walks through its places and adds four cells of C channels each, which lie side by side
in memory. Nothing between the cells and the result is ever written; `grid_sample` writes C numbers for each place, and
twice as many on the way back.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from numba import njit
from torch import Tensor

from engine.network.deformable import Shapes, level_sizes


def loop_samples(cells: Tensor, places: Tensor, weights: Tensor, shapes: Shapes) -> Tensor:
    """`engine.network.deformable.grid_samples` by compiled loops. Gradients flow to cells, places and weights.

    Sums are made in float32 whatever the cells are. Places that are no number take nothing.

    Args:
        cells: (B, S, H, C), on a processor.
        places: (B, N, H, L, P, 2), x and y in [0, 1].
        weights: (B, N, H, L, P).
        shapes: of the L levels.

    Returns:
        (B, N, H * C) of the cells' type.
    """
    levels = level_sizes(shapes, cells.device)
    taken: Tensor = _Samples.apply(cells.float(), places.float(), weights.float(), levels)
    return taken.to(cells.dtype)


def _compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """The loop as numba compiles it at its first call: once for all processes where the result can be kept."""
    # Sums in another order let a processor add many channels at once; places that are no number are still seen.
    fast = {"contract", "nsz", "arcp", "reassoc"}
    try:
        compiled = njit(nogil=True, cache=True, fastmath=fast, error_model="numpy")(loop)
    except RuntimeError:  # neither this folder nor the user's own can be written to
        compiled = njit(nogil=True, fastmath=fast, error_model="numpy")(loop)
    return cast(Callable[..., None], compiled)


class _Samples(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cells: Tensor, places: Tensor, weights: Tensor, levels: Tensor) -> Tensor:
        cells, places, weights = cells.contiguous(), places.contiguous(), weights.contiguous()
        ctx.save_for_backward(cells, places, weights, levels)
        batch, queries = places.shape[:2]
        taken = cells.new_empty(batch, queries, *cells.shape[2:])
        _in_threads(_forward, batch * queries, cells, places, weights, levels, taken)
        return taken.flatten(2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        cells, places, weights, levels = ctx.saved_tensors
        of_cells, of_places, of_weights = torch.zeros_like(cells), torch.empty_like(places), torch.empty_like(weights)
        gradient = gradients[0].float().contiguous().view(*places.shape[:2], *cells.shape[2:])
        given = (cells, places, weights, levels, gradient, of_cells, of_places, of_weights)
        _in_threads(_backward, len(cells) * cells.shape[2], *given)
        return of_cells, of_places, of_weights, None


def _in_threads(loop: Callable[..., None], count: int, *tensors: Tensor) -> None:
    """Work from 0 to `count` in as many threads as PyTorch uses here; the loops hold no lock of Python's."""
    arrays = [tensor.detach().numpy() for tensor in tensors]
    parts = min(torch.get_num_threads(), count)
    if parts <= 1:
        loop(0, count, *arrays)
        return
    edges = [count * part // parts for part in range(parts + 1)]
    own, *others = pairwise(edges)
    done = [_pool().submit(loop, *part, *arrays) for part in others]
    loop(*own, *arrays)
    for part in done:
        part.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="sampling")


@_compiled
def _forward(start, end, cells, places, weights, levels, taken):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Pairs of picture and query from `start` to `end`."""
    _, queries, heads, depth, points, _ = places.shape
    size = cells.shape[3]
    for pair in range(start, end):
        picture, query = pair // queries, pair % queries
        for head in range(heads):
            total = taken[picture, query, head]
            total[:] = 0
            for level in range(depth):
                high, wide, first = levels[level]
                for point in range(points):
                    x = places[picture, query, head, level, point, 0] * wide - 0.5
                    y = places[picture, query, head, level, point, 1] * high - 0.5
                    if not (x > -1 and y > -1 and x < wide and y < high):
                        continue
                    left, top = int(x + 1) - 1, int(y + 1) - 1
                    right_share, bottom_share = x - left, y - top
                    weight = weights[picture, query, head, level, point]
                    for line in range(2):
                        row = top + line
                        if row < 0 or row >= high:
                            continue
                        down = weight * (bottom_share if line else 1 - bottom_share)
                        for column in range(2):
                            place = left + column
                            if place < 0 or place >= wide:
                                continue
                            share = np.float32(down * (right_share if column else 1 - right_share))
                            cell = cells[picture, first + row * wide + place, head]
                            for channel in range(size):
                                total[channel] += share * cell[channel]


@_compiled
def _backward(  # type: ignore[no-untyped-def]  # pragma: no cover
    start, end, cells, places, weights, levels, gradient, of_cells, of_places, of_weights
):
    """Pairs of picture and head from `start` to `end`: no two of them share a cell."""
    _, queries, heads, depth, points, _ = places.shape
    size = cells.shape[3]
    for pair in range(start, end):
        picture, head = pair // heads, pair % heads
        for query in range(queries):
            given = gradient[picture, query, head]
            for level in range(depth):
                high, wide, first = levels[level]
                for point in range(points):
                    of_places[picture, query, head, level, point, 0] = 0
                    of_places[picture, query, head, level, point, 1] = 0
                    of_weights[picture, query, head, level, point] = 0
                    x = places[picture, query, head, level, point, 0] * wide - 0.5
                    y = places[picture, query, head, level, point, 1] * high - 0.5
                    if not (x > -1 and y > -1 and x < wide and y < high):
                        continue
                    left, top = int(x + 1) - 1, int(y + 1) - 1
                    right_share, bottom_share = x - left, y - top
                    weight = weights[picture, query, head, level, point]
                    along_x, along_y, of_weight = 0.0, 0.0, 0.0
                    for line in range(2):
                        row = top + line
                        if row < 0 or row >= high:
                            continue
                        down = bottom_share if line else 1 - bottom_share
                        for column in range(2):
                            place = left + column
                            if place < 0 or place >= wide:
                                continue
                            across = right_share if column else 1 - right_share
                            index = first + row * wide + place
                            cell, of_cell = cells[picture, index, head], of_cells[picture, index, head]
                            share, met = np.float32(weight * down * across), np.float32(0)
                            for channel in range(size):
                                met += given[channel] * cell[channel]
                            for channel in range(size):
                                of_cell[channel] += share * given[channel]
                            of_weight += down * across * met
                            along_x += (down if column else -down) * met
                            along_y += (across if line else -across) * met
                    of_places[picture, query, head, level, point, 0] = along_x * weight * wide
                    of_places[picture, query, head, level, point, 1] = along_y * weight * high
                    of_weights[picture, query, head, level, point] = of_weight
