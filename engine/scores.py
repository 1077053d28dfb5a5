"""Class-wise scores and boxes in pixels, from what a detector's heads say.

A category's score at a query is the mean probability of its phrase's tokens (the largest over its
phrases), as in mmdet, Open-GroundingDino and every published AP. docs/decisions/0003-exact-scores.md
tells why transformers' own post-processing is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import supervision as sv
import torch
import torch.nn.functional as F
from torchvision.ops import box_convert, box_iou

from engine.preprocessing import AnyPicture
from engine.prompts import Span

_MASK_FROM = 0.5  # probability of a pixel
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
        masks: (N, h, w) probabilities that each pixel of the whole picture, at another size, is on the object; None
            where the network draws none.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor
    phrases: torch.Tensor
    masks: torch.Tensor | None = None

    def take(self, index: torch.Tensor | slice) -> Self:
        """Those at the (n,) int64 indices or in the slice, in their order."""
        masks = None if self.masks is None else self.masks[index]
        return type(self)(self.boxes[index], self.scores[index], self.labels[index], self.phrases[index], masks)

    def cpu(self) -> Self:
        """The same in main memory."""
        masks = None if self.masks is None else self.masks.cpu()
        return type(self)(self.boxes.cpu(), self.scores.cpu(), self.labels.cpu(), self.phrases.cpu(), masks)

    def above(self, threshold: float) -> "Candidates":
        """Those that reach a threshold."""
        return self.take((self.scores >= threshold).nonzero()[:, 0])


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
    masks: torch.Tensor | None = None,
) -> Candidates:
    """The `top_k` best pairs of query and label that reach `threshold`, over all of them at once.

    A query may answer for several labels; a box list has one label an entry, and no NMS is applied.

    Args:
        boxes: (Q, 4) normalised cxcywh.
        scores: (Q, C).
        labels: (C,) what each column stands for.
        phrases: (Q, C) the phrase behind each score.
        masks: (Q, h, w) probabilities, where there are any.
    """
    values, order = scores.flatten().sort(descending=True, stable=True)  # (Q * C,)
    order = order[: min(top_k, int((values >= threshold).sum()))]
    query, column = order // scores.shape[1], order % scores.shape[1]
    drawn = None if masks is None else masks[query]
    return Candidates(boxes[query], scores[query, column], labels[column], phrases[query, column], drawn)


def merged(parts: Sequence[Candidates], top_k: int) -> Candidates:
    """The `top_k` best of several prompts' candidates for the same picture."""
    masks = [part.masks for part in parts if part.masks is not None]
    together = Candidates(
        torch.cat([part.boxes for part in parts]),
        torch.cat([part.scores for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.phrases for part in parts]),
        torch.cat(masks) if masks else None,
    )
    return together.take(together.scores.argsort(descending=True, stable=True)[:top_k])


def confirmed(first: Candidates, second: Candidates) -> Candidates:
    """The first candidates that a second look confirms, best first, by the geometric mean of both scores.

    It confirms one by a box of the same label that overlaps it by `CONFIRMED_IOU`; the best such score counts.
    """
    overlaps = box_iou(_corners(first.boxes), _corners(second.boxes))  # (N, M), the same in any units of either axis
    same = (overlaps >= CONFIRMED_IOU) & (first.labels[:, None] == second.labels)
    again = F.pad(second.scores * same, (0, 1)).amax(dim=1)  # (N,), 0 where none confirms it
    values, order = (first.scores * again).sqrt().sort(descending=True, stable=True)
    return replace(first.take(order[values > 0]), scores=values[values > 0])


def _corners(boxes: torch.Tensor) -> torch.Tensor:
    corners: torch.Tensor = box_convert(boxes.float(), "cxcywh", "xyxy")
    return corners.clamp(0, 1)  # what reaches out of the picture is not shown


def pixel_boxes(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Normalised cxcywh (N, 4) as xyxy in pixels of the picture, clipped to it."""
    center, size = boxes[:, :2].float(), boxes[:, 2:].float()
    xyxy = torch.cat([center - size / 2, center + size / 2], dim=-1)
    scale = torch.tensor([width, height, width, height], dtype=torch.float32, device=boxes.device)
    return xyxy.clamp(0, 1) * scale


def as_detections(found: Candidates, image: AnyPicture, names: Sequence[str], phrases: Sequence[str]) -> sv.Detections:
    """Candidates as supervision's type, in pixels of the picture; boxes clipped to nothing are left out.

    Args:
        found: in main memory.
        image: (H, W, 3).
        names: of each label.
        phrases: the text of each phrase.
    """
    boxes = pixel_boxes(found.boxes, *image.shape[:2])
    found = found.take(((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])).nonzero()[:, 0])
    return sv.Detections(
        xyxy=pixel_boxes(found.boxes, *image.shape[:2]).numpy(),
        confidence=found.scores.numpy(),
        class_id=found.labels.numpy(),
        mask=None if found.masks is None else _pixel_masks(found.masks, *image.shape[:2]),
        data={
            "class_name": np.array([names[label] for label in found.labels.tolist()], dtype=object),
            "phrase": np.array([phrases[phrase] for phrase in found.phrases.tolist()], dtype=object),
        },
    )


def _pixel_masks(masks: torch.Tensor, height: int, width: int) -> sv.CompactMask:
    """Probabilities (N, h, w) as N masks of the picture; unpacked, hundreds of a large one would take gigabytes."""
    drawn = [sv.CompactMask([], np.zeros((0, 2), np.int32), np.zeros((0, 2), np.int32), (height, width))]
    for mask in masks:
        dense = (F.interpolate(mask[None, None], (height, width), mode="bilinear")[0] > _MASK_FROM).numpy()
        drawn.append(sv.CompactMask.from_dense(dense, sv.mask_to_xyxy(dense), (height, width)))
    return sv.CompactMask.merge(drawn)
