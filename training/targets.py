"""What a detector should have answered: boxes and the tokens that name them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Targets:
    """The labelled boxes of one image and the tokens that name each.

    Attributes:
        boxes: (N, 4) float, cxcywh in [0, 1] of the image before padding.
        positive_map: (N, T) bool, true where a prompt token belongs to the box's phrase (to several spans if need be).
        unknown_tokens: (T,) bool, the tokens of names that nobody has looked for on this image: they take no part in
            the match and in the class loss. None: there are none.
    """

    boxes: Tensor
    positive_map: Tensor
    unknown_tokens: Tensor | None = None

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ValueError(f"Target boxes must be (N, 4), not {tuple(self.boxes.shape)}.")
        if self.positive_map.ndim != 2 or len(self.positive_map) != len(self.boxes):
            shape = tuple(self.positive_map.shape)
            raise ValueError(f"A positive map for {len(self.boxes)} boxes must be ({len(self.boxes)}, T), not {shape}.")
        if not bool(self.positive_map.any(-1).all()):
            raise ValueError("A target box has no token in its positive map. Leave out boxes the prompt does not name.")
        if self.unknown_tokens is not None:
            if self.unknown_tokens.shape != self.positive_map.shape[1:]:
                shape, width = tuple(self.unknown_tokens.shape), self.positive_map.shape[1]
                raise ValueError(f"The unknown tokens of a prompt of {width} tokens must be ({width},), not {shape}.")
            if bool((self.positive_map & self.unknown_tokens).any()):
                raise ValueError("A token names a target box and is unknown. Only names without a box can be unknown.")

    def to(self, device: torch.device | str) -> "Targets":
        """The same targets on another device."""
        unknown = None if self.unknown_tokens is None else self.unknown_tokens.to(device)
        return Targets(self.boxes.to(device), self.positive_map.to(device), unknown)


@dataclass(frozen=True)
class PaddedTargets:
    """The targets of a batch of B images as tensors; rows past an image's count are padding.

    Attributes:
        boxes: (B, N, 4) float.
        positive_map: (B, N, T) float, 0 or 1.
        judged: (B, T) bool, the tokens whose scores are right or wrong: neither padding nor unknown.
        counts: real rows of each image.
    """

    boxes: Tensor
    positive_map: Tensor
    judged: Tensor
    counts: list[int]

    @property
    def total(self) -> int:
        """Labelled boxes in the batch, at least 1 so that it can divide a loss."""
        return max(sum(self.counts), 1)

    @property
    def real(self) -> Tensor:
        """(B, N) bool, the rows that are no padding."""
        device = self.boxes.device
        return torch.arange(self.boxes.shape[1], device=device) < torch.tensor(self.counts, device=device)[:, None]


def pad_targets(targets: Sequence[Targets], text_mask: Tensor) -> PaddedTargets:
    """Stack the targets of a batch; a positive map narrower than the batch's T tokens is padded.

    Args:
        targets: one per image.
        text_mask: (B, T) bool, gives the batch's size, width and device.

    Raises:
        ValueError: the number of targets, or the width of a positive map, does not fit the batch.
    """
    images, tokens = text_mask.shape
    if len(targets) != images:
        raise ValueError(f"{len(targets)} targets came with a batch of {images} images.")
    counts = [len(each.boxes) for each in targets]
    most = max(counts, default=0)
    boxes = torch.full((images, most, 4), 0.5, device=text_mask.device)
    positive_map = torch.zeros((images, most, tokens), device=text_mask.device)
    judged = text_mask.clone()
    for index, each in enumerate(targets):
        width = each.positive_map.shape[1]
        if width > tokens:
            raise ValueError(f"A positive map has {width} tokens, its batch only {tokens}. Use the batch's own prompt.")
        boxes[index, : counts[index]] = each.boxes
        positive_map[index, : counts[index], :width] = each.positive_map.float()
        if each.unknown_tokens is not None:
            judged[index, :width] &= ~each.unknown_tokens
    return PaddedTargets(boxes, positive_map, judged, counts)
