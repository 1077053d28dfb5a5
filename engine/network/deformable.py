"""Multi-scale deformable attention (Zhu et al., arXiv:2010.04159, equation 3), sampled in one of several equal ways."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Shapes = tuple[tuple[int, int], ...]  # height and width of each feature level
Sampler = Callable[[Tensor, Tensor, Tensor, Shapes], Tensor]

_QUERIES_AT_ONCE = 4096  # of a weighted bag: its rows and weights take 64 numbers a query and head


def deformable_attention(
    module: Any, queries: Tensor, values: Tensor, references: Tensor, shapes: Shapes, sampler: Sampler
) -> Tensor:
    """An `MMGroundingDinoMultiscaleDeformableAttention` or its like in Grounding DINO.

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
    offsets = module.sampling_offsets(queries).view(batch, count, heads, levels, points, 2)
    weights = module.attention_weights(queries).view(batch, count, heads, levels * points).softmax(-1)
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
        corners, shares = _corners(places[:, start:end], weights[:, start:end], shapes)  # (B, n, H, K)
        head = torch.arange(heads, device=cells.device, dtype=corners.dtype)
        image = torch.arange(batch, device=cells.device, dtype=corners.dtype) * (rows * heads)
        index = corners * heads + head[:, None] + image[:, None, None, None]
        bags = F.embedding_bag(
            index.flatten(0, 2), table, mode="sum", per_sample_weights=shares.flatten(0, 2).to(table.dtype)
        )
        parts.append(bags.view(batch, end - start, heads * size))
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _corners(places: Tensor, weights: Tensor, shapes: Shapes) -> tuple[Tensor, Tensor]:
    """Rows of the cells around each place, and their bilinear shares times the place's weight, 0 outside the picture.

    Returns:
        (B, N, H, L * P * 4) int32 and float.
    """
    sizes = places.new_tensor([[width, height] for height, width in shapes])[:, None]  # (L, 1, 2)
    starts = [0]
    for height, width in shapes[:-1]:
        starts.append(starts[-1] + height * width)
    start = torch.tensor(starts, device=places.device, dtype=torch.int32)[:, None]  # (L, 1)
    wide, high = sizes[..., 0].to(torch.int32), sizes[..., 1].to(torch.int32)
    x, y = (places * sizes - 0.5).unbind(-1)  # (B, N, H, L, P) in cells, 0 at the first cell's centre
    left, top = x.floor(), y.floor()
    right_share, low_share = x - left, y - top
    column, row = left.to(torch.int32), top.to(torch.int32)
    indices, shares = [], []
    for down in (0, 1):
        for across in (0, 1):
            here_x, here_y = column + across, row + down
            inside = (here_x >= 0) & (here_x < wide) & (here_y >= 0) & (here_y < high)
            share = (right_share if across else 1 - right_share) * (low_share if down else 1 - low_share)
            shares.append(share * weights * inside)
            indices.append((here_y * wide + here_x + start) * inside)
    return torch.stack(indices, -1).flatten(3), torch.stack(shares, -1).flatten(3)


def _levels(cells: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
    levels: tuple[Tensor, ...] = torch.split(cells, [height * width for height, width in shapes], 1)
    return levels


def _places(offsets: Tensor, references: Tensor, shapes: Shapes) -> Tensor:
    references = references[:, :, None, :, None]
    if references.shape[-1] == 4:
        return references[..., :2] + offsets / offsets.shape[-2] * references[..., 2:] * 0.5
    sizes = torch.tensor([[width, height] for height, width in shapes], dtype=offsets.dtype, device=offsets.device)
    return references + offsets / sizes[:, None]
