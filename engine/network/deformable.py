"""Multi-scale deformable attention (Zhu et al., arXiv:2010.04159, equation 3), sampled in one of several equal ways."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Shapes = tuple[tuple[int, int], ...]  # height and width of each feature level
Sampler = Callable[[Tensor, Tensor, Tensor, Shapes], Tensor]

_KERNELS: dict[torch.device, Sampler | None] = {}  # by device, once it was tried there
_QUERIES_AT_ONCE = 4096  # of a weighted bag: its rows and weights take 16 numbers a corner, query and head


def deformable_attention(
    module: Any, queries: Tensor, values: Tensor, references: Tensor, shapes: Shapes, sampler: Sampler
) -> Tensor:
    """An `MMGroundingDinoMultiscaleDeformableAttention` or its like in Grounding DINO.

    Places are float32 whatever the products run in: bf16 would move them by up to a quarter of a cell in a row of 133.

    Args:
        module: the layer.
        queries: (B, N, D).
        values: (B, S, D), the cells of all levels.
        references: (1 or B, N, 1 or L, 2) centres or (B, N, 1, 4) boxes cxcywh, in [0, 1].
        shapes: height and width of each of the L levels.
        sampler: `grid_samples`, `weighted_bags` or another that gives the same.

    Returns:
        (B, N, D)
    """
    batch, count, _ = queries.shape
    heads, levels, points = module.n_heads, module.n_levels, module.n_points
    offsets = module.sampling_offsets(queries).float().view(batch, count, heads, levels, points, 2)
    weights = (
        module.attention_weights(queries).view(batch, count, heads, levels * points).softmax(-1, dtype=torch.float32)
    )
    places = _places(offsets, references, shapes)
    cells = module.value_proj(values).view(batch, -1, heads, module.d_model // heads)
    taken = sampler(cells, places, weights.view(batch, count, heads, levels, points), shapes)
    result: Tensor = module.output_proj(taken)
    return result


def grid_samples(cells: Tensor, places: Tensor, weights: Tensor, shapes: Shapes) -> Tensor:
    """The weighted sum of what is at the places, by a `grid_sample` a level.

    Args:
        cells: (B, S, H, C).
        places: (B, N, H, L, P, 2), x and y in [0, 1].
        weights: (B, N, H, L, P).
        shapes: of the L levels.

    Returns:
        (B, N, H * C)
    """
    batch, _, heads, size = cells.shape
    count = places.shape[1]
    total = cells.new_zeros(())
    for level, (picture, (height, width)) in enumerate(zip(_levels(cells, shapes), shapes, strict=True)):
        picture = picture.permute(0, 2, 3, 1).reshape(batch * heads, size, height, width)
        grid = places[:, :, :, level].transpose(1, 2).flatten(0, 1) * 2 - 1  # (B * H, N, P, 2), from -1 to 1
        taken = F.grid_sample(picture, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        share = weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]  # (B * H, 1, N, P)
        total = total + (taken * share).sum(-1)
    return total.view(batch, heads * size, count).mT


def weighted_bags(cells: Tensor, places: Tensor, weights: Tensor, shapes: Shapes) -> Tensor:
    """The same as one sum of weighted rows for each query and head: four corners of each of its places.

    Nothing of the size (places, C) is ever made, which is where `grid_samples` spends its time on a CPU. Gradients
    flow to the cells and, through the weights, to the places. Arguments and result are those of `grid_samples`.
    """
    batch, rows, heads, size = cells.shape
    count = places.shape[1]
    table = cells.reshape(batch * rows * heads, size)
    parts = []
    for start in range(0, count, _QUERIES_AT_ONCE):
        end = min(start + _QUERIES_AT_ONCE, count)
        bags: Tensor | None = None
        for index, share in _corners(places[:, start:end], weights[:, start:end], rows, shapes):
            bag = F.embedding_bag(index, table, mode="sum", per_sample_weights=share.to(table.dtype))
            bags = bag if bags is None else bags + bag
        assert bags is not None
        parts.append(bags.view(batch, end - start, heads * size))
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def kernel_or(otherwise: Sampler) -> Sampler:
    """What was written for a device where it is faster, for all else another sampler.

    On a GPU that runs it the Triton kernel (`engine.network.kernel`); on a processor the compiled loops
    (`engine.network.loops`) where gradients are wanted: without, weighted bags are as fast.
    """

    def samples(cells: Tensor, places: Tensor, weights: Tensor, shapes: Shapes) -> Tensor:
        kernel = kernel_on(cells.device) if cells.is_cuda else _loops(cells, places, weights)
        return (kernel or otherwise)(cells, places, weights, shapes)

    return samples


def _loops(*given: Tensor) -> Sampler | None:
    """The compiled loops, for tensors on a processor of which one wants a gradient."""
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
    if not wanted or given[0].device.type != "cpu" or torch.compiler.is_compiling():
        return None
    from engine.network.loops import loop_samples  # numba takes half a second to come, and only training needs it

    return loop_samples


def kernel_on(device: torch.device) -> Sampler | None:
    """The Triton kernel where Triton is there, builds it and gives right results on the device."""
    if device not in _KERNELS:
        try:
            from engine.network.kernel import agrees, kernel_samples  # not every build of torch brings Triton
        except ImportError:
            _KERNELS[device] = None
        else:
            _KERNELS[device] = kernel_samples if agrees(device) else None
    return _KERNELS[device]


def _corners(places: Tensor, weights: Tensor, rows: int, shapes: Shapes) -> Iterator[tuple[Tensor, Tensor]]:
    """For each of the four cells around each place its row of the table, and its share: bilinear times the weight.

    A table has a row for each picture, cell and head. All is computed on rows of H * L * P numbers, which a processor
    does many at once; by levels of a few points it could not. A cell outside the picture has share 0.

    Args:
        places: (B, N, H, L, P, 2), x and y in [0, 1].
        weights: (B, N, H, L, P).
        rows: cells of a picture.
        shapes: of the L levels.

    Returns:
        (B * N * H, L * P) int32 and float, four times.
    """
    batch, _, heads, levels, points, _ = places.shape
    sizes = level_sizes(shapes, places.device)
    high, wide, start = (number.repeat_interleave(points).repeat(heads) for number in sizes.unbind(-1))  # (H * L * P,)
    head = torch.arange(heads, device=places.device, dtype=torch.int32).repeat_interleave(levels * points)
    picture = torch.arange(batch, device=places.device, dtype=torch.int32)[:, None, None] * (rows * heads)
    x, y = places.flatten(2, 4).unbind(-1)  # (B, N, H * L * P)
    columns, across = _along(x, wide)
    lines, down = _along(y, high)
    first = start * heads + head + picture  # (B, 1, H * L * P)
    starts = [line * (wide * heads) + first for line in lines]
    steps = [column * heads for column in columns]
    heights = [share * weights.flatten(2) for share in down]
    for height, above in zip(heights, starts, strict=True):
        for width, step in zip(across, steps, strict=True):
            yield (above + step).view(-1, levels * points), (height * width).view(-1, levels * points)


def _along(places: Tensor, length: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Of places in [0, 1] along one axis both neighbours as cells that exist, and their shares, 0 where they don't."""
    inner = places * length - 0.5  # in cells, 0 at the first's centre
    first = inner.floor()
    beyond, last = inner - first, length - 1
    cell = first.to(torch.int32)
    shares = [(1 - beyond) * ((cell >= 0) & (cell <= last)), beyond * ((cell >= -1) & (cell < last))]
    return [cell.clamp(min=0).minimum(last), (cell + 1).clamp(min=0).minimum(last)], shares


def level_sizes(shapes: Shapes, device: torch.device) -> Tensor:
    """Height, width and first row of each level, (L, 3) int32; kept, since a GPU waits for what it is sent."""
    return _level_sizes(shapes, device) if torch.compiler.is_compiling() else _kept_level_sizes(shapes, device)


def _level_sizes(shapes: Shapes, device: torch.device) -> Tensor:
    starts = [0, *accumulate(height * width for height, width in shapes)]
    rows = [(height, width, start) for (height, width), start in zip(shapes, starts, strict=False)]
    return torch.tensor(rows, dtype=torch.int32, device=device)


_kept_level_sizes = lru_cache(maxsize=64)(_level_sizes)


def _levels(cells: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
    levels: tuple[Tensor, ...] = torch.split(cells, [height * width for height, width in shapes], 1)
    return levels


def _places(offsets: Tensor, references: Tensor, shapes: Shapes) -> Tensor:
    points = offsets.shape[-2]
    if references.shape[-1] == 4:
        references = references[:, :, None, :, None]
        return references[..., :2] + offsets / points * references[..., 2:] * 0.5
    sizes_wh = level_sizes(shapes, offsets.device)[:, None, :2].flip(-1).expand(-1, points, -1)  # (L, P, 2)
    centres = references[:, :, None, :, None].expand(-1, -1, -1, len(shapes), points, -1)
    # Rows of L * P * 2 numbers: a processor does many at once.
    moved = offsets.flatten(3) / sizes_wh.flatten() + centres.flatten(3)
    return moved.view(offsets.shape)
