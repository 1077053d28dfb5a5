"""The losses that tell one name of a prompt from another, and the thing a text means from its neighbours."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from training.criterion import CriterionConfig
from training.dense import DenseOutputs, middle_cells
from training.layer_outputs import LayerOutputs
from training.matcher import Matches, giou, match
from training.targets import PaddedTargets

_ON = 0.5  # IoU from which on a box lies on a thing


def naming_losses(
    layers: LayerOutputs, targets: PaddedTargets, unnamed: Sequence[Tensor], names: Tensor, config: CriterionConfig
) -> Tensor:
    """Cross-entropy between the prompt's names and "none of them", summed over layers.

    The queries that match a box shall say its name, as far as the box fits where the class loss is aware of that; those
    on a thing that the prompt does not name: none. The focal loss hardly pushes a wrong name down while its score is
    low, which is how a detector that starts from nothing stays with names that look alike and finds them where they
    are not. This loss does, and is left out of fine-tuning.

    Args:
        layers: predictions for B images, Q queries and T tokens.
        targets: each box named by exactly one of `names`.
        unnamed: for each image (N, 4) cxcywh of the things that no name fits.
        names: (K, T) bool, the tokens of each name in the prompt.
        config: prices of the match.
    """
    padded = pad_sequence([boxes.reshape(-1, 4) for boxes in unnamed], batch_first=True)  # (B, N, 4)
    total = targets.boxes.new_zeros(())
    for logits, boxes, found in _matched(layers, targets, config):
        positive = targets.positive_map[found.image, found.target]
        quality = _quality(boxes, targets, found, config)
        right = _cross_entropy(logits[found.image, found.query], positive, names, quality) / targets.total
        total = total + right + _none(logits[_on_things(boxes, padded, targets)], names)
    return total


def dense_naming_loss(outputs: DenseOutputs, targets: PaddedTargets, names: Tensor) -> Tensor:
    """The same at every cell that answers for a box, mean over cells.

    Args:
        outputs: of B images.
        targets: each box named by exactly one of `names`.
        names: (K, T) bool.
    """
    cells = middle_cells(outputs.grid, targets, outputs.allowed)
    chosen = outputs.logits.float()[cells.image, cells.cell]
    wanted = targets.positive_map[cells.image, cells.target]
    return _cross_entropy(chosen, wanted, names, chosen.new_ones(len(chosen))) / max(len(chosen), 1)


def phrase_losses(
    layers: LayerOutputs, targets: PaddedTargets, phrases: Sequence[Tensor], config: CriterionConfig
) -> Tensor:
    """Cross-entropy between the phrases of each image's own text and "none of them", summed over layers.

    The words of a sentence see each other, so that "a crab" says dolphin, too, in "a crab below a dolphin", until
    something sets the two against each other.

    Args:
        layers: predictions for B images, Q queries and T tokens.
        targets: each box meant by at least one phrase of its image.
        phrases: for each image (P, T) bool, or as wide as its own text.
        config: prices of the match.
    """
    total = targets.boxes.new_zeros(())
    for logits, boxes, found in _matched(layers, targets, config):
        quality = _quality(boxes, targets, found, config)
        for image, spans in enumerate(phrases):
            own = found.image == image
            if len(spans) and bool(own.any()):
                width = spans.shape[1]
                positive = targets.positive_map[image, found.target[own], :width]
                chosen = logits[image, found.query[own], :width]
                total = total + _cross_entropy(chosen, positive, spans, quality[own]) / targets.total
    return total


def pointing_losses(layers: LayerOutputs, targets: PaddedTargets, config: CriterionConfig) -> Tensor:
    """Cross-entropy between the queries of an image whose text means one box, mean over them, summed over layers.

    "The cat left of the dog" is one of two cats: here the scores of both stand against each other, while the focal
    loss looks at each by itself.

    Args:
        layers: predictions for B images, Q queries and T tokens.
        targets: those of images with other than one box are not looked at.
        config: prices of the match.
    """
    single = torch.tensor([count == 1 for count in targets.counts], device=targets.boxes.device)
    total = targets.boxes.new_zeros(())
    if not bool(single.any()):
        return total
    share = targets.positive_map[:, 0] / targets.positive_map[:, 0].sum(-1, keepdim=True).clamp(min=1)  # (B, T)
    for logits, _, found in _matched(layers, targets, config):
        scores = (logits.masked_fill(~targets.judged[:, None], 0.0) @ share[..., None])[..., 0]  # (B, Q)
        kept = single[found.image]
        total = total + F.cross_entropy(scores[found.image[kept]], found.query[kept])
    return total


def _matched(
    layers: LayerOutputs, targets: PaddedTargets, config: CriterionConfig
) -> Iterator[tuple[Tensor, Tensor, Matches]]:
    logits_of = [logits.float() for logits in (*layers.logits, layers.encoder_logits)]
    boxes_of = [boxes.float() for boxes in (*layers.boxes, layers.encoder_boxes)]
    predictions = list(zip(logits_of, boxes_of, strict=True))
    found = match(
        *(predictions, targets.boxes, targets.positive_map, targets.counts, targets.judged),
        costs=config,
        proposals=layers.encoder_boxes,
    )
    yield from zip(logits_of, boxes_of, found, strict=True)


def _quality(boxes: Tensor, targets: PaddedTargets, found: Matches, config: CriterionConfig) -> Tensor:
    """(M,) what the class loss teaches the matched queries: a power of their IoU, or 1."""
    iou = giou(boxes[found.image, found.query], targets.boxes[found.image, found.target])[1].detach().clamp(min=0)
    return iou**config.iou_power if config.iou_aware else torch.ones_like(iou)


def _cross_entropy(logits: Tensor, positive: Tensor, names: Tensor, quality: Tensor) -> Tensor:
    """Summed over M boxes of (M, T) logits and positive tokens; what a box lacks in quality is said to be no name."""
    wanted = (positive @ names.float().mT).argmax(-1)  # (M,)
    target = torch.zeros(len(logits), len(names) + 1, device=logits.device)
    target.scatter_(1, wanted[:, None], quality[:, None])
    target[:, -1] = 1 - quality
    return F.cross_entropy(_scores(logits, names), target, reduction="sum")


def _none(logits: Tensor, names: Tensor) -> Tensor:
    """Mean over M queries of (M, T) logits that shall say no name."""
    nothing = torch.full((len(logits),), len(names), device=logits.device)
    return F.cross_entropy(_scores(logits, names), nothing, reduction="sum") / max(len(logits), 1)


def _scores(logits: Tensor, names: Tensor) -> Tensor:
    """(M, K + 1) logits of the names, each the mean of its tokens', and 0 for none of them, which is even odds."""
    share = names.float() / names.sum(1, keepdim=True)  # (K, T)
    return F.pad(logits @ share.mT, (0, 1))


@torch.no_grad()
def _on_things(boxes: Tensor, unnamed: Tensor, named: PaddedTargets) -> Tensor:
    """(B, Q) bool, the queries whose boxes lie on an unnamed thing and on no named one."""
    on_unnamed = _lies_on(boxes, unnamed).any(-1)
    on_named = (_lies_on(boxes, named.boxes) & named.real[:, None]).any(-1)
    return on_unnamed & ~on_named


def _lies_on(boxes: Tensor, things: Tensor) -> Tensor:
    """(B, Q, N) bool of (B, Q, 4) and (B, N, 4) cxcywh."""
    return giou(boxes[:, :, None], things[:, None])[1] > _ON
