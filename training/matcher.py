"""One-to-one assignment of predictions to labelled boxes."""

from dataclasses import dataclass
from typing import Protocol

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


class MatchCosts(Protocol):
    """The weights and the focal shape that a match is priced with; `CriterionConfig` is one."""

    @property
    def cost_class(self) -> float: ...
    @property
    def cost_l1(self) -> float: ...
    @property
    def cost_giou(self) -> float: ...
    @property
    def alpha(self) -> float: ...
    @property
    def gamma(self) -> float: ...


@dataclass(frozen=True)
class Matches:
    """Which query of which image answers which labelled box; three index tensors of equal length (M,)."""

    image: Tensor
    query: Tensor
    target: Tensor


@torch.no_grad()
def match(
    logits: Tensor,
    boxes: Tensor,
    target_boxes: Tensor,
    positive_map: Tensor,
    counts: list[int],
    text_mask: Tensor,
    costs: MatchCosts,
) -> Matches:
    """The cheapest one-to-one assignment in each image (Carion et al., arXiv:2005.12872, section 3.1).

    The class cost is the binary focal cost summed over the prompt's tokens, as MM-Grounding-DINO prices it.

    Args:
        logits: (B, Q, T), finite where `text_mask` is true.
        boxes: (B, Q, 4) cxcywh.
        target_boxes: (B, N, 4) cxcywh, rows past an image's count are padding.
        positive_map: (B, N, T) float, 1 for the tokens that name the box.
        counts: labelled boxes of each image.
        text_mask: (B, T) bool, false for padded tokens.
        costs: weights of the three terms, and alpha and gamma of the focal cost.
    """
    price = costs.cost_class * _focal_cost(logits, positive_map, text_mask, costs.alpha, costs.gamma)
    price = price + costs.cost_l1 * torch.cdist(boxes, target_boxes, p=1)
    price = price - costs.cost_giou * giou(boxes[:, :, None], target_boxes[:, None])[0]
    # A model that starts badly may give an infinite price; the solver needs numbers, and the loss reports the trouble.
    table = price.nan_to_num(nan=1e6, posinf=1e6, neginf=-1e6).cpu().numpy()  # (B, Q, N)
    image: list[int] = []
    query: list[int] = []
    target: list[int] = []
    for index, count in enumerate(counts):
        rows, columns = linear_sum_assignment(table[index, :, :count])
        image += [index] * len(rows)
        query += rows.tolist()
        target += columns.tolist()
    image_index, query_index, target_index = torch.tensor([image, query, target], dtype=torch.long).to(logits.device)
    return Matches(image_index, query_index, target_index)


def giou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Generalised IoU and IoU of boxes that broadcast against each other (Rezatofighi et al., arXiv:1902.09630).

    Args:
        a: (..., 4) cxcywh.
        b: (..., 4) cxcywh.

    Returns:
        The GIoU in [-1, 1] and the IoU in [0, 1], both (...).
    """
    a, b = corners(a), corners(b)
    overlap = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - overlap
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    iou = overlap / union.clamp(min=1e-7)
    return iou - (hull - union) / hull.clamp(min=1e-7), iou


def corners(boxes: Tensor) -> Tensor:
    """(..., 4) xyxy of (..., 4) cxcywh."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def _focal_cost(logits: Tensor, positive_map: Tensor, text_mask: Tensor, alpha: float, gamma: float) -> Tensor:
    scores = logits.sigmoid()
    positive = alpha * (1 - scores) ** gamma * -(scores + 1e-12).log()
    negative = (1 - alpha) * scores**gamma * -(1 - scores + 1e-12).log()
    negative = negative * text_mask[:, None]
    return (positive - negative) @ positive_map.mT + negative.sum(-1, keepdim=True)  # (B, Q, N)
