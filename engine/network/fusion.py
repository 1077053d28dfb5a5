"""Image and text looking at each other, by whichever order of products is the cheaper."""

from typing import Any

import torch
from torch import Tensor, nn

from engine.network.attention import joined, mixed, split


def fuse(module: Any, image: Tensor, text: Tensor, text_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """A fusion layer as transformers computes it: both sides are projected, then look at each other.

    Args:
        module: an `MMGroundingDinoFusionLayer` or a `GroundingDinoFusionLayer`.
        image: (B, S, D).
        text: (B, T, D).
        text_mask: bool, broadcasts to (B, heads, S, T), false where padded; None: nothing is.

    Returns:
        (B, S, D) and (B, T, D).
    """
    attention = module.attn
    heads = attention.num_heads
    image, text = module.layer_norm_vision(image), module.layer_norm_text(text)
    queries, keys = split(attention.vision_proj(image), heads), split(attention.text_proj(text), heads)
    to_image = mixed(queries, keys, split(attention.values_text_proj(text), heads), text_mask)
    to_text = mixed(keys, queries, split(attention.values_vision_proj(image), heads))
    return (
        image + module.vision_param * attention.out_vision_proj(joined(to_image)),
        text + module.text_param * attention.out_text_proj(joined(to_text)),
    )


def fuse_through_text(
    module: Any, image: Tensor, text: Tensor, text_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The same by associativity: no projection is ever applied to the image's many cells.

    (image W) (text V)^T = image (W (text V)^T), so a head's scores are the image times one row of D numbers for each
    token. What the image takes from the text is likewise its weights times one projected row a token, and what the
    text takes from the image is the projection of a weighted mean of cells, weights adding up to 1. With T tokens and
    H heads a cell costs 3 D H T products instead of 3 D E of the embedding E, and T is at most E / H.

    Args and result are those of `fuse`.
    """
    attention = module.attn
    projections = (attention.vision_proj, attention.values_vision_proj, attention.out_vision_proj)
    if not all(isinstance(projection, nn.Linear) for projection in projections):
        return fuse(module, image, text, text_mask)  # an adapter stands between: its weight alone is not all it does
    heads, size = attention.num_heads, attention.head_dim
    image, text = module.layer_norm_vision(image), module.layer_norm_text(text)
    batch, tokens, width = text.shape
    keys = split(attention.text_proj(text), heads) * attention.scale  # (B, H, T, E / H)
    rows = keys @ attention.vision_proj.weight.view(heads, size, width)  # (B, H, T, D)
    offsets = keys @ attention.vision_proj.bias.view(heads, size, 1)  # (B, H, T, 1)
    scores = image @ rows.flatten(1, 2).mT + offsets.view(batch, 1, heads * tokens)  # (B, S, H * T)
    to_text = scores.mT.softmax(-1) @ image  # (B, H * T, D), each row a mean of cells
    weights = scores.view(batch, -1, heads, tokens)
    if text_mask is not None:
        weights = weights.masked_fill(~text_mask.transpose(1, 2), -torch.inf)  # (B, 1, 1, T)
    shares = weights.softmax(-1).view(batch, -1, heads * tokens)
    values = split(attention.values_text_proj(text), heads)  # (B, H, T, E / H)
    answers = values @ attention.out_vision_proj.weight.view(-1, heads, size).permute(1, 2, 0)  # (B, H, T, D)
    taken = shares @ (answers.flatten(1, 2) * module.vision_param)
    image = image + taken + attention.out_vision_proj.bias * module.vision_param
    own = to_text.view(batch, heads, tokens, width) @ attention.values_vision_proj.weight.view(heads, size, width).mT
    own = own + attention.values_vision_proj.bias.view(heads, 1, size)
    return image, text + module.text_param * attention.out_text_proj(joined(own))
