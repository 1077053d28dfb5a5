"""The two optimizers that a segmenter learns by."""

from collections.abc import Mapping

import torch
from torch import nn

Optimizers = tuple[torch.optim.Optimizer, ...]


def optimizers_of(
    learning: Mapping[str, nn.Parameter], *, rate: float, matrix_rate: float, weight_decay: float
) -> Optimizers:
    """Muon for the matrices inside (Jordan et al., 2024), AdamW for all else.

    Args:
        learning: by their names in `SamModel`.
        rate: of AdamW.
        matrix_rate: of Muon, scaled so that its steps are about as long as AdamW's.
        weight_decay: of the matrices.
    """
    matrices = {name: value for name, value in learning.items() if _is_inside(name, value)}
    others = [value for name, value in learning.items() if name not in matrices]
    muon = torch.optim.Muon(
        [{"params": list(matrices.values()), "base_rate": matrix_rate}],
        lr=matrix_rate,
        weight_decay=weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    adam = torch.optim.AdamW(
        [{"params": others, "base_rate": rate}], lr=rate, weight_decay=0.0, betas=(0.9, 0.98), fused=True
    )
    return muon, adam


def set_rate(optimizers: Optimizers, part: float) -> None:
    """Let all go on at a part of their own rates."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_rate"] * part


def _is_inside(name: str, value: nn.Parameter) -> bool:
    """A matrix between features: no table of embeddings and no token of the decoder's own."""
    return value.ndim == 2 and "embed" not in name and not name.endswith(("iou_token.weight", "mask_tokens.weight"))
