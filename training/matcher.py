"""One-to-one assignment of predictions to labelled boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_SAME_PLACE = 0.4  # IoU of two proposals
_ON = 0.5  # IoU of a proposal and the labelled box that it lies on


class MatchCosts(Protocol):
    """The weights and the focal shape that a match is priced with; `CriterionConfig` is one."""

    @property
    def class_cost(self) -> Literal["sum", "mean"]: ...
    @property
    def cost_class(self) -> float: ...
    @property
    def cost_l1(self) -> float: ...
    @property
    def cost_giou(self) -> float: ...
    @property
    def cost_behind(self) -> float: ...
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


def match(
    layers: Sequence[tuple[Tensor, Tensor]],
    target_boxes: Tensor,
    positive_map: Tensor,
    counts: Sequence[int],
    text_mask: Tensor,
    costs: MatchCosts,
    proposals: Tensor | None = None,
) -> list[Matches]:
    """The cheapest one-to-one assignment of each layer in each image (Carion et al., arXiv:2005.12872, section 3.1).

    With `cost_behind`, the query of the best proposal on a box answers for it where prices are near: the same one in
    every layer and every step, so that the others can learn that they are second.

    Args:
        layers: logits (B, Q, T), finite where `text_mask` is true, and boxes (B, Q, 4) cxcywh, of each layer.
        target_boxes: (B, N, 4) cxcywh, rows past an image's count are padding.
        positive_map: (B, N, T) float, 1 for the tokens that name the box.
        counts: labelled boxes of each image.
        text_mask: (B, T) bool, false for tokens that have no say.
        costs: weights of the terms, and the form, alpha and gamma of the class cost.
        proposals: (B, Q, 4) cxcywh where the queries began, the best first; only `cost_behind` needs them.
    """
    tables = torch.stack(
        [prices(logits, boxes, target_boxes, positive_map, text_mask, costs) for logits, boxes in layers]
    )
    if costs.cost_behind and proposals is not None:
        tables = tables + costs.cost_behind * behind(proposals.float(), target_boxes)
    host = tables.cpu().numpy()  # one transfer for all layers: (L, B, Q, N)
    return [_assigned(table, counts, target_boxes.device) for table in host]


@torch.no_grad()
def prices(
    logits: Tensor, boxes: Tensor, target_boxes: Tensor, positive_map: Tensor, text_mask: Tensor, costs: MatchCosts
) -> Tensor:
    """What it costs to let each query answer for each labelled box, (B, Q, N); shapes as in `match`."""
    price = costs.cost_class * _class_cost(logits, positive_map, text_mask, costs)
    price = price + costs.cost_l1 * torch.cdist(boxes, target_boxes, p=1)
    price = price - costs.cost_giou * giou(boxes[:, :, None], target_boxes[:, None])[0]
    # A model that starts badly may give an infinite price; the solver needs numbers, and the loss reports the trouble.
    return price.nan_to_num(nan=1e6, posinf=1e6, neginf=-1e6)


@torch.no_grad()
def behind(proposals: Tensor, target_boxes: Tensor) -> Tensor:
    """(B, Q, N) bool, whether a better proposal lies on the same place, by an IoU of more than 0.4.

    The best of the proposals that lie on a box is behind none for that box, though half of a large thing, or the whole
    picture, may be better: else all that lie on it would be behind what does not.

    Args:
        proposals: (B, Q, 4) cxcywh, the best first.
        target_boxes: (B, N, 4) cxcywh.
    """
    overlaps = giou(proposals[:, :, None], proposals[:, None])[1]  # (B, Q, Q)
    second = (overlaps.tril(-1) > _SAME_PLACE).any(-1)
    on = giou(proposals[:, :, None], target_boxes[:, None])[1] > _ON  # (B, Q, N)
    return second[..., None] & ~(on & (on.cumsum(1) == 1))


@torch.no_grad()
def near(proposals: Tensor, target_boxes: Tensor, counts: Sequence[int]) -> tuple[Matches, Tensor]:
    """Every query that began on a labelled box, by an IoU of more than 0.5, with the box on which it lies best.

    One query of a hundred answers for a thing; how a box is fitted can be learned from the others on it as well.

    Args:
        proposals: (B, Q, 4) cxcywh where the queries began.
        target_boxes: (B, N, 4) cxcywh, rows past an image's count are padding.
        counts: labelled boxes of each image.

    Returns:
        M queries and their boxes, and (M,) shares: those of one box sum to 1.
    """
    rows = torch.arange(target_boxes.shape[1], device=proposals.device)
    labelled = rows < torch.tensor(counts, device=proposals.device)[:, None]  # (B, N)
    overlaps = giou(proposals[:, :, None], target_boxes[:, None])[1] * labelled[:, None]  # (B, Q, N)
    best = F.pad(overlaps, (0, 1), value=_ON).amax(-1, keepdim=True)  # there may be no box to take the most of
    on = (overlaps > _ON) & (overlaps == best)
    image, query, target = on.nonzero(as_tuple=True)
    return Matches(image, query, target), 1 / on.sum(1)[image, target]


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


def _assigned(table: NDArray[np.float32], counts: Sequence[int], device: torch.device) -> Matches:
    pairs = [linear_sum_assignment(prices[:, :count]) for prices, count in zip(table, counts, strict=True)]
    image = np.repeat(np.arange(len(pairs)), [len(rows) for rows, _ in pairs])
    query = np.concatenate([rows for rows, _ in pairs])
    target = np.concatenate([columns for _, columns in pairs])
    indices = torch.from_numpy(np.stack([image, query, target]).astype(np.int64)).to(device)
    return Matches(*indices)


def _class_cost(logits: Tensor, positive_map: Tensor, text_mask: Tensor, costs: MatchCosts) -> Tensor:
    """(B, Q, N): summed over the prompt as MM-Grounding-DINO does, or the mean of a phrase's tokens."""
    scores = logits.sigmoid()
    positive = costs.alpha * (1 - scores) ** costs.gamma * -(scores + 1e-12).log()
    negative = (1 - costs.alpha) * scores**costs.gamma * -(1 - scores + 1e-12).log()
    if costs.class_cost == "mean":
        return (positive - negative) @ (positive_map / positive_map.sum(-1, keepdim=True).clamp(min=1)).mT
    negative = negative * text_mask[:, None]
    return (positive - negative) @ positive_map.mT + negative.sum(-1, keepdim=True)
