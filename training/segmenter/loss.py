"""How far predicted masks are from the true ones."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_FAR = 0.1  # weight of cells far from the thing


@dataclass(frozen=True)
class MaskLossWeights:
    """Of the terms of `mask_losses`."""

    cells: float = 1.0
    dice: float = 1.0
    iou: float = 0.05


def mask_losses(logits: Tensor, scores: Tensor, truth: Tensor, weights: MaskLossWeights) -> dict[str, Tensor]:
    """Weighted terms: each cell's cross-entropy, the overlap (dice), and how well the score tells the IoU.

    Of several masks for a prompt only the nearest to the truth learns its shape (Kirillov et al., Segment Anything,
    arXiv:2304.02643, section 3); all learn to score themselves.

    Args:
        logits: (B, N, M, m, m).
        scores: (B, N, M), predicted IoU.
        truth: (B, N, m, m) from 0 to 1.
    """
    logits, answers = logits.float(), truth[:, :, None].expand_as(logits)
    # A thing is a small part of its picture: over all of it "nothing" has a low loss, and training stays there.
    near = _near(truth)[:, :, None]
    entropy = F.binary_cross_entropy_with_logits(logits, answers, reduction="none")
    cells = (near * entropy).sum((-2, -1)) / (near == 1).sum((-2, -1)).clamp(min=16)
    probabilities = logits.sigmoid()
    overlap = (probabilities * answers).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (probabilities.sum((-2, -1)) + answers.sum((-2, -1)) + 1)
    combined = weights.cells * cells + weights.dice * dice  # (B, N, M)
    best = combined.detach().argmin(-1, keepdim=True)
    reached = mask_ious(logits.detach() > 0, answers > 0.5)
    return {
        "cells": weights.cells * cells.gather(-1, best).mean(),
        "dice": weights.dice * dice.gather(-1, best).mean(),
        "iou": weights.iou * F.mse_loss(scores.float(), reached),
    }


def mask_ious(found: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of masks, bool (..., m, m); 0 where both are empty."""
    intersection = (found & truth).sum((-2, -1)).float()
    union = (found | truth).sum((-2, -1)).clamp(min=1).float()
    return intersection / union


def _near(truth: Tensor) -> Tensor:
    """Weights (B, N, m, m): 1 in the thing's box and an eighth of its sides around it, little elsewhere."""
    inside = [_stretch(truth.amax(axis) > 0.5) for axis in (-1, -2)]  # rows and columns, each (B, N, m)
    return (inside[0][..., :, None] & inside[1][..., None, :]).float().clamp(min=_FAR)


def _stretch(hit: Tensor) -> Tensor:
    """The span from the first to the last place hit, and an eighth of it more on both sides; (..., m) bool."""
    places = torch.arange(hit.shape[-1])
    first = torch.where(hit, places, hit.shape[-1]).amin(-1, keepdim=True)
    last = torch.where(hit, places, -1).amax(-1, keepdim=True)
    margin = (last - first) // 8 + 1
    return (places >= first - margin) & (places <= last + margin)
