"""Contrastive denoising: noised copies of the labelled boxes as further queries of the decoder."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import TrainConfig
from training.layer_outputs import DecoderStates
from training.matcher import corners
from training.targets import PaddedTargets

_EDGE = 1e-3  # how near 0 and 1 a copy's box may come, as in the papers
_MATCHING = -1  # the group of the detector's own queries


@dataclass(frozen=True)
class Copies:
    """Noised copies of the labelled boxes of B images, D for the one with the most; the others' rows are padded.

    Attributes:
        boxes: (B, D, 4) cxcywh between 0 and 1.
        labels: (B, D) long, the first token of the name the copy is given, some of them wrong.
        groups: (B, D) long, from 0; below `_MATCHING`, and all different, where padded.
        targets: (B, D) long, the labelled box that was copied.
        positive: (B, D) bool, near enough to its box to be told from the others, which are taught to be nothing.
        weight: (B, D) float, one over the image's number of groups, 0 where padded: each box counts once.
    """

    boxes: Tensor
    labels: Tensor
    groups: Tensor
    targets: Tensor
    positive: Tensor
    weight: Tensor


class ContrastiveDenoising(nn.Module):
    """Makes the copies, shows them to a decoder beside its own queries, and holds what stands for their names.

    Zhang et al., arXiv:2203.03605, section 3.3, as MM-Grounding-DINO uses it (arXiv:2401.02361). The number of groups
    fits each image by itself, and its noise is drawn for itself, so that an image teaches the same whatever others
    share its batch. Published checkpoints leave out the embedding of the labels: it starts anew, with each run.

    Args:
        model: a two-stage detector of transformers; not kept.
        config: `denoising` copies of each kind an image, of at most `denoising_boxes` boxes.
    """

    def __init__(self, model: Any, config: TrainConfig) -> None:
        super().__init__()
        contents = model.model.query_position_embeddings.weight
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.label_embedding = nn.Embedding(model.config.max_text_len, contents.shape[1])
        with torch.no_grad():
            self.label_embedding.weight *= contents.std()  # as large as what the decoder is used to
        self.label_embedding.to(contents.device)
        self._copies, self._most = config.denoising, config.denoising_boxes
        self._label_noise, self._box_noise = config.label_noise, config.box_noise

    def counted(self, boxes: int) -> int:
        """How many of an image's boxes are copied."""
        return min(boxes, self._most)

    @torch.no_grad()
    def copies(self, targets: PaddedTargets, text_mask: Tensor, image_ids: Sequence[int], seed: int) -> Copies:
        """Copies of a batch's boxes, the same for equal seeds.

        There is one row at least, padded if need be, so that the embedding takes part in every step of every process.

        Args:
            targets: of B images.
            text_mask: (B, T) bool, each image's own prompt.
            image_ids: one an image; its noise depends on it and on the seed.
            seed: from 0.
        """
        drawn = [self._drawn(count, [seed, id_ % 2**32]) for count, id_ in zip(targets.counts, image_ids, strict=True)]
        rows, groups, negative, weight, noise = _stacked(drawn, text_mask.device)
        boxes = targets.boxes if targets.boxes.shape[1] else targets.boxes.new_full((len(rows), 1, 4), 0.5)
        copied = boxes.gather(1, rows[..., None].expand(-1, -1, 4))
        moved = moved_corners(copied, noise[..., :8], negative, self._box_noise).clamp(0, 1)
        low, high = moved[..., :2], moved[..., 2:]
        centred = torch.cat([(low + high) / 2, high - low], -1).clamp(_EDGE, 1 - _EDGE)
        labels = _first_tokens(targets.positive_map, rows)
        wrong = (noise[..., 9] * text_mask.sum(1, keepdim=True)).long()
        labels = torch.where(noise[..., 8] < self._label_noise / 2, wrong, labels)
        return Copies(centred, labels, groups, rows, ~negative & (groups >= 0), weight)

    @contextmanager
    def shown(self, decoder: Any, copies: Copies) -> Iterator[list[DecoderStates]]:
        """Within it, a forward pass of `decoder` works on the copies too; the list receives what became of them.

        The decoder's own queries see no copy, and its outputs hold only them. Afterwards it is as it was, also when
        the pass failed.
        """
        states: list[DecoderStates] = []
        config = decoder.config

        def add(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            own = kwargs["inputs_embeds"]
            contents = torch.cat([own, self.label_embedding(copies.labels).to(own.dtype)], 1)
            references = torch.cat([kwargs["reference_points"], copies.boxes.to(kwargs["reference_points"].dtype)], 1)
            mask = attention_mask(own.shape[1], copies.groups, own.dtype)
            decoder.config = copy.copy(config)  # the decoder masks the text for as many queries as its config says
            decoder.config.num_queries = contents.shape[1]
            return args, kwargs | {
                "inputs_embeds": contents,
                "reference_points": references,
                "self_attn_mask": mask,
            }

        def take(_: Any, __: Any, output: Any) -> Any:
            own = output.last_hidden_state.shape[1] - copies.labels.shape[1]
            hidden, references = output.intermediate_hidden_states, output.intermediate_reference_points
            states.append(DecoderStates(hidden[:, :, own:], references[:, :, own:], copies.boxes))
            output.last_hidden_state = output.last_hidden_state[:, :own]
            output.intermediate_hidden_states = hidden[:, :, :own]
            output.intermediate_reference_points = references[:, :, :own]
            return output

        hooks = [decoder.register_forward_pre_hook(add, with_kwargs=True), decoder.register_forward_hook(take)]
        try:
            yield states
        finally:
            for hook in hooks:
                hook.remove()
            decoder.config = config

    def _drawn(self, count: int, seed: list[int]) -> "_Drawn":
        rng = np.random.default_rng(seed)
        boxes = np.arange(count) if count <= self._most else rng.permutation(count)[: self._most]
        groups = max(1, self._copies // max(len(boxes), 1))
        size = 2 * len(boxes)  # of a group: a near and a far copy of each box
        return _Drawn(
            boxes=np.tile(boxes, 2 * groups),
            groups=np.repeat(np.arange(groups), size),
            negative=np.tile(np.arange(size) >= len(boxes), groups),
            weight=1 / groups,
            noise=rng.random((groups * size, 10), np.float32),
        )


@dataclass(frozen=True)
class _Drawn:
    boxes: NDArray[np.int64]
    groups: NDArray[np.int64]
    negative: NDArray[np.bool_]
    weight: float
    noise: NDArray[np.float32]  # (copies, 10): how far each edge, whither, whether the name is wrong, and which it is


def moved_corners(boxes: Tensor, noise: Tensor, negative: Tensor, scale: float) -> Tensor:
    """(..., 4) xyxy of boxes whose edges each moved by a random part of half a side.

    Args:
        boxes: (..., 4) cxcywh.
        noise: (..., 8) in [0, 1): how far x1, y1, x2 and y2 move, and then to which side.
        negative: (...) bool: moved by one to two half sides instead of none to one.
        scale: of the movement.
    """
    far = noise[..., :4] + negative[..., None]
    side = torch.where(noise[..., 4:] < 0.5, -1.0, 1.0)
    return corners(boxes) + side * far * boxes[..., [2, 3, 2, 3]] * scale / 2


def attention_mask(own: int, groups: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, 1, Q, Q) for the scores of the decoder's self-attention: 0 where a query sees another, else the least number.

    The first `own` queries see each other; a copy sees them and the copies of its group.
    """
    groups = torch.cat([groups.new_full((len(groups), own), _MATCHING), groups], 1)
    seen = (groups[:, :, None] == groups[:, None]) | (groups[:, None] == _MATCHING)  # (B, Q, Q)
    return torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)[:, None]


def _stacked(drawn: Sequence[_Drawn], device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Boxes, groups, negative, weight (B, D) and noise (B, D, 10) of images with unlike numbers of copies."""
    shape = (len(drawn), max(1, *(len(each.boxes) for each in drawn)))
    boxes, negative = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    groups = np.broadcast_to(_MATCHING - 1 - np.arange(shape[1]), shape).copy()
    weight, noise = np.zeros(shape, np.float32), np.zeros((*shape, 10), np.float32)
    for row, each in enumerate(drawn):
        here = (row, slice(len(each.boxes)))
        boxes[here], groups[here], negative[here] = each.boxes, each.groups, each.negative
        weight[here], noise[here] = each.weight, each.noise
    b, g, n, w, r = (torch.from_numpy(array).to(device) for array in (boxes, groups, negative, weight, noise))
    return b, g, n, w, r


def _first_tokens(positive_map: Tensor, rows: Tensor) -> Tensor:
    """(B, D) the first token of each copied box's phrase: no two names of a prompt share it."""
    if not positive_map.shape[1]:
        return torch.zeros_like(rows)
    return positive_map.argmax(-1).gather(1, rows)
