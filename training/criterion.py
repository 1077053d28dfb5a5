"""The loss of a grounding detector, from each image's own boxes and positive map."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.layer_outputs import LayerOutputs, layer_outputs
from training.matcher import Matches, giou, match
from training.targets import PaddedTargets, Targets, pad_targets

__all__ = ["CriterionConfig", "GroundingCriterion", "LayerOutputs", "Targets", "layer_outputs"]


@dataclass(frozen=True)
class CriterionConfig:
    """Weights of the match and of the loss; the defaults are MM-Grounding-DINO's (arXiv:2401.02361, appendix)."""

    cost_class: float = 2.0  # binary focal cost of a match
    cost_l1: float = 5.0  # on cxcywh in [0, 1]
    cost_giou: float = 2.0
    loss_class: float = 1.0
    loss_l1: float = 5.0
    loss_giou: float = 2.0
    alpha: float = 0.25  # focal balance: weight of a positive token
    gamma: float = 2.0  # focal focus
    iou_aware: bool = False  # a positive token's target is IoU^0.5 instead of 1, see `iou_aware_loss`

    def __post_init__(self) -> None:
        weights = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "iou_aware"}
        faults = [f"{name} is {value:g}, it must be 0 or more" for name, value in weights.items() if not value >= 0]
        if not self.alpha <= 1:
            faults.append(f"alpha is {self.alpha:g}, it must be at most 1")
        if faults:
            raise ValueError("Loss settings: " + "; ".join(faults) + ".")


class GroundingCriterion(nn.Module):
    """Classification, L1 and GIoU loss of the encoder's proposals and of every decoder layer, each matched by itself.

    Follows MM-Grounding-DINO: every term is a sum over the batch divided by its number of labelled boxes, so that a
    batch of unlike images weighs each box alike. Images without boxes teach what is absent.
    """

    def __init__(self, config: CriterionConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, layers: LayerOutputs, targets: Sequence[Targets], text_mask: Tensor, boxes_in_step: int | None = None
    ) -> dict[str, Tensor]:
        """Weighted terms whose sum is the loss.

        Args:
            layers: predictions for B images, Q queries and T tokens.
            targets: one per image; a positive map narrower than T is padded, its prompt being shorter.
            text_mask: (B, T) bool, true for the tokens of the image's prompt with [CLS], [SEP] and '.'.
            boxes_in_step: labelled boxes to divide by where this batch is one part of a step, so that the parts add
                up to the loss of the whole; None: those of this batch.

        Returns:
            Scalars "class_0", "l1_0", "giou_0" of the first decoder layer up to the last, and "class_enc", "l1_enc",
            "giou_enc" of the proposals.

        Raises:
            ValueError: the number of targets, or the width of a positive map, does not fit the batch.
        """
        padded = pad_targets(targets, text_mask)
        divisor = padded.total if boxes_in_step is None else max(boxes_in_step, 1)
        terms: dict[str, Tensor] = {}
        for index, (logits, boxes) in enumerate(zip(layers.logits, layers.boxes, strict=True)):
            terms |= self._layer(str(index), logits, boxes, padded, text_mask, divisor)
        return terms | self._layer("enc", layers.encoder_logits, layers.encoder_boxes, padded, text_mask, divisor)

    def _layer(
        self, name: str, logits: Tensor, boxes: Tensor, targets: PaddedTargets, text_mask: Tensor, divisor: int
    ) -> dict[str, Tensor]:
        logits = logits.float().masked_fill(~text_mask[:, None], 0.0)  # -inf in a masked token would give NaN gradients
        boxes = boxes.float()
        found = match(logits, boxes, targets.boxes, targets.positive_map, targets.counts, text_mask, self.config)
        matched = boxes[found.image, found.query]  # (M, 4)
        wanted = targets.boxes[found.image, found.target]
        matched_giou, matched_iou = giou(matched, wanted)
        classes = self._class_loss(logits, targets, found, matched_iou.detach()) * text_mask[:, None]
        return {
            f"class_{name}": self.config.loss_class * classes.sum() / divisor,
            f"l1_{name}": self.config.loss_l1 * (matched - wanted).abs().sum() / divisor,
            f"giou_{name}": self.config.loss_giou * (1 - matched_giou).sum() / divisor,
        }

    def _class_loss(self, logits: Tensor, targets: PaddedTargets, found: Matches, iou: Tensor) -> Tensor:
        positive = torch.zeros_like(logits)
        positive[found.image, found.query] = targets.positive_map[found.image, found.target]
        if not self.config.iou_aware:
            return focal_loss(logits, positive, self.config.alpha, self.config.gamma)
        quality = torch.zeros_like(logits[..., :1])
        quality[found.image, found.query] = iou.clamp(min=0)[:, None]
        return iou_aware_loss(logits, positive, quality, self.config.alpha, self.config.gamma)


def focal_loss(logits: Tensor, positive: Tensor, alpha: float, gamma: float) -> Tensor:
    """Focal loss of each token (Lin et al., arXiv:1708.02002), (B, Q, T)."""
    scores = logits.sigmoid()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, positive, reduction="none")
    weight = torch.where(positive > 0, alpha * (1 - scores) ** gamma, (1 - alpha) * scores**gamma)
    return cross_entropy * weight


def iou_aware_loss(logits: Tensor, positive: Tensor, quality: Tensor, alpha: float, gamma: float) -> Tensor:
    """Varifocal loss of each token (Zhang et al., arXiv:2008.13367), (B, Q, T).

    A matched query's target is the square root of its IoU and its weight 1. The plain IoU holds the scores of a
    detector that starts from nothing too low for too long.
    """
    with torch.no_grad():
        weight = torch.where(positive > 0, 1.0, (1 - alpha) * logits.sigmoid() ** gamma)
    return F.binary_cross_entropy_with_logits(logits, positive * quality.sqrt(), reduction="none") * weight
