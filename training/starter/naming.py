"""The losses that tell one name of a prompt from another, and the thing a text means from its neighbours."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from training.criterion import CriterionConfig
from training.dense import DenseOutputs, middle_cells
from training.layer_outputs import LayerOutputs
from training.matcher import Matches, match
from training.targets import PaddedTargets


def naming_losses(layers: LayerOutputs, targets: PaddedTargets, names: Tensor, config: CriterionConfig) -> Tensor:
    """Cross-entropy between the prompt's names at the queries that match a box, mean over boxes, summed over layers.

    The focal loss hardly pushes a wrong name down while its score is low, which is how a detector that starts from
    nothing stays with names that look alike. This loss does, and is left out of fine-tuning.

    Args:
        layers: predictions for B images, Q queries and T tokens.
        targets: each box named by exactly one of `names`.
        names: (K, T) bool, the tokens of each name in the prompt.
        config: prices of the match.
    """
    total = targets.boxes.new_zeros(())
    for logits, found in _matched(layers, targets, config):
        chosen = logits[found.image, found.query]
        total = total + _cross_entropy(chosen, targets.positive_map[found.image, found.target], names) / targets.total
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
    return _cross_entropy(chosen, wanted, names) / max(len(chosen), 1)


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
    for logits, found in _matched(layers, targets, config):
        scores = (logits.masked_fill(~targets.judged[:, None], 0.0) @ share[..., None])[..., 0]  # (B, Q)
        kept = single[found.image]
        total = total + F.cross_entropy(scores[found.image[kept]], found.query[kept])
    return total


def _matched(layers: LayerOutputs, targets: PaddedTargets, config: CriterionConfig) -> Iterator[tuple[Tensor, Matches]]:
    logits_of = [logits.float() for logits in (*layers.logits, layers.encoder_logits)]
    boxes_of = [boxes.float() for boxes in (*layers.boxes, layers.encoder_boxes)]
    predictions = list(zip(logits_of, boxes_of, strict=True))
    found = match(predictions, targets.boxes, targets.positive_map, targets.counts, targets.judged, config)
    yield from zip(logits_of, found, strict=True)


def _cross_entropy(logits: Tensor, positive: Tensor, names: Tensor) -> Tensor:
    """Summed over M boxes of (M, T) logits and positive tokens; a name's logit is the mean of its tokens'."""
    share = names.float() / names.sum(1, keepdim=True)  # (K, T)
    wanted = (positive @ names.float().mT).argmax(-1)  # (M,)
    return F.cross_entropy(logits @ share.mT, wanted, reduction="sum")
