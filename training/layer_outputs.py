"""What a grounding detector says after its encoder and after each decoder layer, ready for the loss."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_LOGIT_EPS = 1e-5  # as in the models' own box refinement


@dataclass(frozen=True)
class LayerOutputs:
    """Predictions of every supervised layer of one forward pass, gradients attached.

    Shapes: B images, Q queries, T text tokens of the batch's longest prompt. Padded tokens may hold -inf.

    Attributes:
        logits: one (B, Q, T) per decoder layer, first to last; before the sigmoid.
        boxes: one (B, Q, 4) per decoder layer, cxcywh in [0, 1] of the unpadded image.
        encoder_logits: (B, Q, T) of the Q proposals that became the decoder's queries.
        encoder_boxes: (B, Q, 4) of the same proposals.
    """

    logits: list[Tensor]
    boxes: list[Tensor]
    encoder_logits: Tensor
    encoder_boxes: Tensor


def layer_outputs(model: Any, outputs: Any) -> LayerOutputs:
    """The supervised layers of a plain transformers forward pass, without `labels`.

    Two things differ from what transformers feeds to its own loss (transformers 5.23,
    modeling_mm_grounding_dino.py). The encoder's term holds the chosen proposals themselves, so that the two-stage
    head learns. A decoder layer's reference keeps the gradient of the previous layer's prediction ("look forward
    twice", Zhang et al., arXiv:2203.03605, section 3.5). Values equal `outputs.logits` and `outputs.pred_boxes`.

    Args:
        model: a `GroundingDinoForObjectDetection` or `MMGroundingDinoForObjectDetection`.
        outputs: what `model(pixel_values, input_ids, attention_mask, pixel_mask)` returned.

    Raises:
        ValueError: the model is not two-stage, so there are no proposals to supervise.
    """
    if outputs.enc_outputs_class is None:
        raise ValueError("The detector has no proposal stage (config.two_stage is false). Use a two-stage checkpoint.")
    tokens = outputs.input_ids.shape[1]
    encoder_logits, encoder_boxes = _proposals(outputs, model.config.num_queries)
    logits, boxes = _decoder_layers(model, outputs)
    return LayerOutputs(
        logits=[layer[..., :tokens] for layer in logits],
        boxes=boxes,
        encoder_logits=encoder_logits[..., :tokens],
        encoder_boxes=encoder_boxes,
    )


def chosen_proposals(class_logits: Tensor, count: int) -> Tensor:
    """Indices (B, count) of the proposals with the highest logit of any token, from (B, S, T) logits."""
    return class_logits.amax(-1).topk(count, dim=1).indices


def _proposals(outputs: Any, count: int) -> tuple[Tensor, Tensor]:
    chosen = chosen_proposals(outputs.enc_outputs_class, count)[..., None]  # (B, Q, 1)
    logits = outputs.enc_outputs_class
    logits = logits.gather(1, chosen.expand(-1, -1, logits.shape[-1]))
    boxes = outputs.enc_outputs_coord_logits.gather(1, chosen.expand(-1, -1, 4)).sigmoid()
    return logits, boxes


def _decoder_layers(model: Any, outputs: Any) -> tuple[list[Tensor], list[Tensor]]:
    text = outputs.encoder_last_hidden_state_text
    text_mask = _text_mask(outputs)
    reference = _inverse_sigmoid(outputs.init_reference_points)
    logits: list[Tensor] = []
    boxes: list[Tensor] = []
    for layer in range(outputs.intermediate_hidden_states.shape[1]):
        hidden = outputs.intermediate_hidden_states[:, layer]
        logits.append(
            model.class_embed[layer](vision_hidden_state=hidden, text_hidden_state=text, text_token_mask=text_mask)
        )
        box_logits = model.bbox_embed[layer](hidden) + reference
        boxes.append(box_logits.sigmoid())
        next_reference = _inverse_sigmoid(outputs.intermediate_reference_points[:, layer])
        # The decoder detached its reference; it refines from the hidden state before the last norm, so the value is
        # taken from there and only the gradient from this layer's own prediction.
        reference = next_reference + (box_logits - box_logits.detach())
    return logits, boxes


def _text_mask(outputs: Any) -> Tensor:
    # transformers does not return the attention mask; it left its trace as -inf in the logits.
    tokens = outputs.input_ids.shape[1]
    mask: Tensor = outputs.logits[:, 0, :tokens] > -torch.inf
    return mask


def _inverse_sigmoid(boxes: Tensor) -> Tensor:
    return torch.logit(boxes, eps=_LOGIT_EPS)
