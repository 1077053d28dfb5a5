"""Class-wise scores and boxes in pixels, from what a grounding detector's heads say.

A category's score at a query is the mean probability of its phrase's tokens (the largest over its
phrases), as in mmdet, Open-GroundingDino and every published AP. docs/decisions/0003-exact-scores.md
tells why transformers' own post-processing is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torchvision.ops import box_convert, box_iou

from engine.prompts import Span

CONFIRMED_IOU = 0.6
"""Boxes of two looks at one picture that overlap so much are around one object."""


@dataclass(frozen=True)
class Candidates:
    """Scored boxes of one picture, best first.

    Attributes:
        boxes: (N, 4) normalised cxcywh.
        scores: (N,) probabilities.
        labels: (N,) int64, the index asked for: a category, or a phrase.
        phrases: (N,) int64, the index of the phrase that gave the score.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor
    phrases: torch.Tensor

    def above(self, threshold: float) -> "Candidates":
        """Those that reach a threshold."""
        kept = self.scores >= threshold
        return Candidates(self.boxes[kept], self.scores[kept], self.labels[kept], self.phrases[kept])


def phrase_scores(logits: torch.Tensor, spans: Sequence[Span]) -> torch.Tensor:
    """The mean probability of each phrase's tokens: logits (..., Q, T) to (..., Q, P) in [0, 1]."""
    probabilities = logits.float().sigmoid().nan_to_num(0)  # what overflowed in low precision is no find
    return torch.stack([probabilities[..., start:end].mean(-1) for start, end in spans], dim=-1)


def joined_scores(pieces: torch.Tensor, spans: Sequence[Span], owners: Sequence[int]) -> torch.Tensor:
    """Scores of phrases that stand in several pieces, each the mean over all its tokens: (Q, S) to (Q, P)."""
    lengths = torch.tensor([end - start for start, end in spans], dtype=pieces.dtype, device=pieces.device)
    belongs = torch.zeros(len(spans), max(owners) + 1, dtype=pieces.dtype, device=pieces.device)
    belongs[range(len(spans)), list(owners)] = lengths  # (S, P)
    return pieces @ (belongs / belongs.sum(0))


def expression_scores(logits: torch.Tensor, span: Span) -> torch.Tensor:
    """The largest probability of a referring expression's tokens: logits (..., Q, T) to (..., Q)."""
    return logits[..., span[0] : span[1]].float().sigmoid().nan_to_num(0).amax(-1)


def category_scores(phrases: torch.Tensor, owners: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The best phrase of each category.

    Args:
        phrases: (Q, P) phrase scores.
        owners: the category of each of the P phrases.

    Returns:
        scores (Q, C), the phrase that gave each (Q, C) int64, and the C categories in ascending order.
    """
    categories = sorted(set(owners))
    columns = [[p for p, owner in enumerate(owners) if owner == category] for category in categories]
    best = [phrases[:, own].max(dim=-1) for own in columns]
    scores = torch.stack([values for values, _ in best], dim=-1)
    chosen = torch.stack(
        [torch.tensor(own, device=phrases.device)[index] for own, (_, index) in zip(columns, best, strict=True)], dim=-1
    )
    return scores, chosen, torch.tensor(categories, device=phrases.device)


def candidates(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    labels: torch.Tensor,
    phrases: torch.Tensor,
    *,
    threshold: float,
    top_k: int,
) -> Candidates:
    """The `top_k` best pairs of query and label that reach `threshold`, over all of them at once.

    A query may answer for several labels; a box list has one label an entry, and no NMS is applied.

    Args:
        boxes: (Q, 4) normalised cxcywh.
        scores: (Q, C).
        labels: (C,) what each column stands for.
        phrases: (Q, C) the phrase behind each score.
    """
    values, order = scores.flatten().sort(descending=True, stable=True)  # (Q * C,)
    order = order[: min(top_k, int((values >= threshold).sum()))]
    query, column = order // scores.shape[1], order % scores.shape[1]
    return Candidates(boxes[query], scores[query, column], labels[column], phrases[query, column])


def merged(parts: Sequence[Candidates], top_k: int) -> Candidates:
    """The `top_k` best of several prompts' candidates for the same picture."""
    scores = torch.cat([part.scores for part in parts])
    order = scores.argsort(descending=True, stable=True)[:top_k]
    return Candidates(
        torch.cat([part.boxes for part in parts])[order],
        scores[order],
        torch.cat([part.labels for part in parts])[order],
        torch.cat([part.phrases for part in parts])[order],
    )


def confirmed(first: Candidates, second: Candidates) -> Candidates:
    """The first candidates that a second look confirms, best first, by the geometric mean of both scores.

    It confirms one by a box of the same label that overlaps it by `CONFIRMED_IOU`; the best such score counts.
    """
    overlaps = box_iou(_corners(first.boxes), _corners(second.boxes))  # (N, M), the same in any units of either axis
    same = (overlaps >= CONFIRMED_IOU) & (first.labels[:, None] == second.labels)
    again = F.pad(second.scores * same, (0, 1)).amax(dim=1)  # (N,), 0 where none confirms it
    values, order = (first.scores * again).sqrt().sort(descending=True, stable=True)
    order = order[values > 0]
    return Candidates(first.boxes[order], values[values > 0], first.labels[order], first.phrases[order])


def _corners(boxes: torch.Tensor) -> torch.Tensor:
    corners: torch.Tensor = box_convert(boxes.float(), "cxcywh", "xyxy")
    return corners.clamp(0, 1)  # what reaches out of the picture is not shown


def pixel_boxes(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Normalised cxcywh (N, 4) as xyxy in pixels of the picture, clipped to it."""
    center, size = boxes[:, :2].float(), boxes[:, 2:].float()
    xyxy = torch.cat([center - size / 2, center + size / 2], dim=-1)
    scale = torch.tensor([width, height, width, height], dtype=torch.float32, device=boxes.device)
    return xyxy.clamp(0, 1) * scale
