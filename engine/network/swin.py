"""The maps of a Swin transformer (Liu et al., arXiv:2103.14030), some windows after others.

A block of Swin does everything within its windows. On a processor some of them go through the whole block at a time:
what lies between its products then never leaves the cache, where transformers' own pass writes each step of a large
picture to memory, shifts it, cuts it into windows and puts it together again.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import SwinBackbone

_TOKENS_AT_ONCE = 2048  # of a block: with four times their width 3 MB in a Swin-T's first stage


def is_divisible(backbone: Any) -> bool:
    """Whether it is a Swin in eval mode that gives maps of its stages alone."""
    return isinstance(backbone, SwinBackbone) and not backbone.training and "stem" not in backbone.out_features


def swin_maps_in_parts(backbone: Any, pixels: Tensor) -> list[Tensor]:
    """What a divisible Swin gives, (B, C, H, W) for each of its `out_features`; without gradients.

    Args:
        backbone: see `is_divisible`.
        pixels: (B, 3, H, W).
    """
    hidden, (height, width) = backbone.swin.embeddings(pixels)
    maps = []
    for name, stage in zip(backbone.stage_names[1:], backbone.swin.encoder.layers, strict=True):
        for block in stage.blocks:
            hidden = torch.stack([_block(block, tokens, height, width) for tokens in hidden])
        if name in backbone.out_features:
            normed = backbone.hidden_states_norms[name](hidden)
            maps.append(normed.unflatten(1, (height, width)).permute(0, 3, 1, 2))
        if stage.downsample is not None:
            hidden = stage.downsample(hidden, (height, width))
            height, width = (height + 1) // 2, (width + 1) // 2
    return maps


def _block(block: Any, tokens: Tensor, height: int, width: int) -> Tensor:
    """A `SwinLayer` on the tokens (H * W, C) of one picture."""
    side, shift = block.window_size, block.shift_size
    order, region = _windows(height, width, side, shift)
    bias = block.attention.relative_position_bias()  # (1, heads, side ** 2, side ** 2)
    padding = tokens.new_zeros(1, tokens.shape[1])
    source = torch.cat([tokens, padding])
    result = torch.empty_like(source)
    size = max(1, _TOKENS_AT_ONCE // (side * side))
    for start in range(0, len(order), size):
        part = order[start : start + size]
        rows = source[part.flatten()].view(*part.shape, -1)  # (n, side ** 2, C)
        normed = block.layernorm_before(rows)
        if height % side or width % side:
            normed = normed.masked_fill((part == len(tokens))[..., None], 0.0)
        mask = bias if region is None else bias + _apart(region[start : start + size])[:, None]
        rows = rows + _attend(block.attention, normed, mask)
        rows = rows + block.mlp(block.layernorm_after(rows))
        result[part.flatten()] = rows.flatten(0, 1)
    return result[:-1]


def _attend(attention: Any, rows: Tensor, mask: Tensor) -> Tensor:
    """A `SwinAttention` within windows: (n, side ** 2, C)."""
    heads = (attention.num_attention_heads, attention.head_dim)
    queries, keys, values = (
        project(rows).unflatten(-1, heads).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    found = F.scaled_dot_product_attention(queries, keys, values, mask.to(queries.dtype), scale=attention.scaling)
    result: Tensor = attention.o_proj(found.transpose(1, 2).flatten(2))
    return result


def _apart(region: Tensor) -> Tensor:
    """What keeps tokens of different regions of a window apart: (n, side ** 2) to (n, side ** 2, side ** 2)."""
    return (region[:, None, :] != region[:, :, None]) * -100.0


@lru_cache(maxsize=64)
def _windows(height: int, width: int, side: int, shift: int) -> tuple[Tensor, Tensor | None]:
    """The tokens of each window, (windows, side ** 2), H * W for padding, and to which region each belongs.

    Windows that are shifted over the edge hold tokens from both ends of the map, which must not see each other.
    """
    high, wide = -(-height // side) * side, -(-width // side) * side
    line, column = torch.arange(high)[:, None], torch.arange(wide)[None]
    from_line, from_column = (line + shift) % high, (column + shift) % wide
    is_real = (from_line < height) & (from_column < width)
    order = torch.where(is_real, from_line * width + from_column, height * width)
    if not shift:
        return _cut(order, side), None
    bands = [(place >= size - side).long() + (place >= size - shift) for place, size in ((line, high), (column, wide))]
    return _cut(order, side), _cut(bands[0] * 3 + bands[1], side)


def _cut(numbers: Tensor, side: int) -> Tensor:
    """Of a map (H, W) the windows, (windows, side ** 2)."""
    high, wide = numbers.shape
    return numbers.view(high // side, side, wide // side, side).transpose(1, 2).reshape(-1, side * side)
