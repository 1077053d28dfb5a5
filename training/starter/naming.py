"""The loss that tells one name of a prompt from another."""

import torch
import torch.nn.functional as F
from torch import Tensor

from training.criterion import CriterionConfig
from training.layer_outputs import LayerOutputs
from training.matcher import match
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
    share = names.float() / names.sum(1, keepdim=True)  # (K, T)
    wanted = (targets.positive_map @ names.float().mT).argmax(-1)  # (B, N)
    text_mask = torch.ones(len(targets.boxes), names.shape[1], dtype=torch.bool)
    total = torch.zeros(())
    logits_of = [logits.float() for logits in (*layers.logits, layers.encoder_logits)]
    boxes_of = [boxes.float() for boxes in (*layers.boxes, layers.encoder_boxes)]
    predictions = list(zip(logits_of, boxes_of, strict=True))
    matches = match(predictions, targets.boxes, targets.positive_map, targets.counts, text_mask, config)
    for logits, found in zip(logits_of, matches, strict=True):
        named = logits[found.image, found.query] @ share.mT  # (M, K)
        total = total + F.cross_entropy(named, wanted[found.image, found.target], reduction="sum") / targets.total
    return total
