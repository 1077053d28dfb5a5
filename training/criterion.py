"""The loss of a grounding detector, from each image's own boxes and positive map."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import TrainConfig
from training.denoising import Copies
from training.layer_outputs import LayerOutputs, layer_outputs
from training.matcher import Matches, giou, match, near
from training.targets import PaddedTargets, Targets, pad_targets

__all__ = ["CriterionConfig", "GroundingCriterion", "LayerOutputs", "Targets", "layer_outputs", "profile"]

_COSTS = ("cost_class", "cost_l1", "cost_giou", "cost_behind")
_WEIGHTS = (*_COSTS, "loss_class", "loss_l1", "loss_giou", "near", "encoder", "alpha", "gamma", "iou_power")


@dataclass(frozen=True)
class CriterionConfig:
    """Weights of the match and of the loss; the defaults are MM-Grounding-DINO's (arXiv:2401.02361, appendix)."""

    class_cost: Literal["sum", "mean"] = "sum"  # over the prompt's tokens, or the mean of the phrase's tokens
    cost_class: float = 2.0  # binary focal cost of a match
    cost_l1: float = 5.0  # on cxcywh in [0, 1]
    cost_giou: float = 2.0
    cost_behind: float = 0.0  # of a query whose proposal lies behind a better one, see `training.matcher.match`
    loss_class: float = 1.0
    loss_l1: float = 5.0
    loss_giou: float = 2.0
    near: float = 0.0  # of the box losses of all queries that began on a labelled box, see `training.matcher.near`
    encoder: float = 1.0  # of the proposals' terms
    alpha: float = 0.25  # focal balance: weight of a positive token
    gamma: float = 2.0  # focal focus
    iou_aware: bool = False  # a positive token's target is a power of the IoU instead of 1, see `iou_aware_loss`
    iou_power: float = 0.5  # of that target; 1 or 2 rank well placed boxes higher, once scores are no longer low

    def __post_init__(self) -> None:
        weights = {name: getattr(self, name) for name in _WEIGHTS}
        faults = [f"{name} is {value:g}, it must be 0 or more" for name, value in weights.items() if not value >= 0]
        if not self.alpha <= 1:
            faults.append(f"alpha is {self.alpha:g}, it must be at most 1")
        if faults:
            raise ValueError("Loss settings: " + "; ".join(faults) + ".")


def profile(model_type: str, config: TrainConfig) -> CriterionConfig:
    """The weights of the paper that `config.loss` names, or "auto" finds by the checkpoint's `model_type`.

    "mm_grounding_dino" is arXiv:2401.02361; "grounding_dino" is arXiv:2303.05499, whose match prices a phrase by the
    mean of its tokens; "iou_aware" has the weights of the former, but see `iou_aware_loss`.
    """
    family = config.loss if config.loss != "auto" else model_type.replace("-", "_")
    common = CriterionConfig(encoder=config.encoder_loss, cost_behind=config.cost_behind, near=config.near)
    if family == "grounding_dino":
        return replace(common, class_cost="mean", cost_class=1.0, loss_class=2.0)
    return replace(common, iou_aware=family == "iou_aware")


class GroundingCriterion(nn.Module):
    """Classification, L1 and GIoU loss of the encoder's proposals and of every decoder layer, each matched by itself.

    Every term is a sum over the batch divided by its number of labelled boxes, so that a batch of unlike images
    weighs each box alike. Images without boxes teach what is absent. Noised copies of the labels are not matched:
    each answers for the box it is of, or for nothing.
    """

    def __init__(self, config: CriterionConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        layers: LayerOutputs,
        targets: Sequence[Targets] | PaddedTargets,
        text_mask: Tensor,
        boxes_in_step: int | Tensor | None = None,
        copies: Copies | None = None,
        copied_in_step: int | Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Weighted terms whose sum is the loss.

        Args:
            layers: predictions for B images, Q queries and T tokens.
            targets: one per image; a positive map narrower than T is padded, its prompt being shorter.
            text_mask: (B, T) bool, true for the tokens of the image's prompt with [CLS], [SEP] and '.'.
            boxes_in_step: labelled boxes to divide by where this batch is one part of a step, so that the parts add
                up to the loss of the whole; None: those of this batch.
            copies: what `layers.denoised_logits` are of.
            copied_in_step: boxes of the step that were copied; None: those of this batch.

        Returns:
            Scalars "class_0", "l1_0", "giou_0" of the first decoder layer up to the last, "class_enc", "l1_enc",
            "giou_enc" of the proposals, and "class_dn_0" and so on of the copies.

        Raises:
            ValueError: the number of targets, or the width of a positive map, does not fit the batch.
        """
        padded = targets if isinstance(targets, PaddedTargets) else pad_targets(targets, text_mask)
        divisor = at_least_one(padded.total if boxes_in_step is None else boxes_in_step)
        named = dict(enumerate(zip(layers.logits, layers.boxes, strict=True)))
        predictions = {str(index): _finite(*layer, padded.judged) for index, layer in named.items()}
        predictions["enc"] = _finite(layers.encoder_logits, layers.encoder_boxes, padded.judged)
        found = match(
            *(list(predictions.values()), padded.boxes, padded.positive_map, padded.counts, padded.judged),
            costs=self.config,
            proposals=layers.encoder_boxes,
        )
        terms: dict[str, Tensor] = {}
        for (name, layer), matches in zip(predictions.items(), found, strict=True):
            terms |= self._layer(name, layer, padded, matches, divisor)
        if self.config.near:
            for kind, value in self._near(layers, padded, divisor):
                terms[kind] = terms[kind] + value
        for kind in ("class", "l1", "giou"):
            terms[f"{kind}_enc"] = self.config.encoder * terms[f"{kind}_enc"]
        return terms | ({} if copies is None else self._denoised(layers, padded, copies, copied_in_step))

    def _near(
        self, layers: LayerOutputs, targets: PaddedTargets, divisor: int | Tensor
    ) -> Iterator[tuple[str, Tensor]]:
        """What the box terms of the decoder gain by all queries that began on a labelled box."""
        found, share = near(layers.encoder_boxes.float(), targets.boxes, targets.counts)
        wanted = targets.boxes[found.image, found.target]
        for index, boxes in enumerate(layers.boxes):
            for kind, value in self._box_terms(boxes.float()[found.image, found.query], wanted, share, divisor).items():
                yield f"{kind}_{index}", self.config.near * value

    def _denoised(
        self, layers: LayerOutputs, targets: PaddedTargets, copies: Copies, copied_in_step: int | Tensor | None
    ) -> dict[str, Tensor]:
        # The weights of an image's positive copies sum to its copied boxes.
        copied = (copies.weight * copies.positive).sum() if copied_in_step is None else copied_in_step
        image, query = copies.positive.nonzero(as_tuple=True)
        matches = Matches(image, query, copies.targets[image, query])
        terms: dict[str, Tensor] = {}
        for index, layer in enumerate(zip(layers.denoised_logits, layers.denoised_boxes, strict=True)):
            finite = _finite(*layer, targets.judged)
            terms |= self._layer(f"dn_{index}", finite, targets, matches, at_least_one(copied), copies.weight)
        return terms

    def _layer(
        self,
        name: str,
        layer: tuple[Tensor, Tensor],
        targets: PaddedTargets,
        found: Matches,
        divisor: int | Tensor,
        weight: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One layer's terms; `weight` is (B, Q)."""
        logits, boxes = layer
        weight = logits.new_ones(logits.shape[:2]) if weight is None else weight
        matched = boxes[found.image, found.query]  # (M, 4)
        wanted = targets.boxes[found.image, found.target]
        matched_weight = weight[found.image, found.query]
        classes = self._class_loss(logits, targets, found, giou(matched, wanted)[1].detach()) * targets.judged[:, None]
        terms = {"class": self.config.loss_class * (classes.sum(-1) * weight).sum() / divisor}
        terms |= self._box_terms(matched, wanted, matched_weight, divisor)
        return {f"{kind}_{name}": value for kind, value in terms.items()}

    def _box_terms(self, boxes: Tensor, wanted: Tensor, weight: Tensor, divisor: int | Tensor) -> dict[str, Tensor]:
        """Weighted "l1" and "giou" of (M, 4) boxes, each with a weight (M,) of its own."""
        return {
            "l1": self.config.loss_l1 * ((boxes - wanted).abs().sum(-1) * weight).sum() / divisor,
            "giou": self.config.loss_giou * ((1 - giou(boxes, wanted)[0]) * weight).sum() / divisor,
        }

    def _class_loss(self, logits: Tensor, targets: PaddedTargets, found: Matches, iou: Tensor) -> Tensor:
        positive = torch.zeros_like(logits)
        positive[found.image, found.query] = targets.positive_map[found.image, found.target]
        if not self.config.iou_aware:
            return focal_loss(logits, positive, self.config.alpha, self.config.gamma)
        quality = torch.zeros_like(logits[..., :1])
        quality[found.image, found.query] = iou.clamp(min=0)[:, None]
        return iou_aware_loss(logits, positive, quality**self.config.iou_power, self.config.alpha, self.config.gamma)


def focal_loss(logits: Tensor, positive: Tensor, alpha: float, gamma: float) -> Tensor:
    """Focal loss of each token (Lin et al., arXiv:1708.02002), (B, Q, T)."""
    scores = logits.sigmoid()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, positive, reduction="none")
    weight = torch.where(positive > 0, alpha * (1 - scores) ** gamma, (1 - alpha) * scores**gamma)
    return cross_entropy * weight


def iou_aware_loss(logits: Tensor, positive: Tensor, quality: Tensor, alpha: float, gamma: float) -> Tensor:
    """Varifocal loss of each token (Zhang et al., arXiv:2008.13367), (B, Q, T).

    A matched query's target is its quality, a power of its IoU, and its weight 1. Of a detector that starts from
    nothing the plain IoU holds the scores too low for too long; its square root does not.
    """
    with torch.no_grad():
        weight = torch.where(positive > 0, 1.0, (1 - alpha) * logits.sigmoid() ** gamma)
    return F.binary_cross_entropy_with_logits(logits, positive * quality, reduction="none") * weight


def _finite(logits: Tensor, boxes: Tensor, judged: Tensor) -> tuple[Tensor, Tensor]:
    """Logits without -inf, which would give NaN gradients, and boxes, in float32."""
    return logits.float().masked_fill(~judged[:, None], 0.0), boxes.float()


def at_least_one(count: int | Tensor) -> int | Tensor:
    """A number of boxes that can divide a loss."""
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)
