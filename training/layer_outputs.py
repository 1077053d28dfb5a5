"""What a grounding detector says after its encoder and after each decoder layer, ready for the loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_LOGIT_EPS = 1e-5  # as in the models' own box refinement


@dataclass(frozen=True)
class DecoderStates:
    """What the decoder made of Q queries in its L layers, before the heads.

    Attributes:
        hidden: (B, L, Q, C).
        references: (B, L, Q, 4) cxcywh in [0, 1], each layer's box, without a gradient.
        initial: (B, Q, 4), the boxes the first layer began with.
    """

    hidden: Tensor
    references: Tensor
    initial: Tensor


@dataclass(frozen=True)
class LayerOutputs:
    """Predictions of every supervised layer of one forward pass, gradients attached.

    Shapes: B images, Q queries, T text tokens of the batch's longest prompt. Padded tokens may hold -inf.

    Attributes:
        logits: one (B, Q, T) per decoder layer, first to last; before the sigmoid.
        boxes: one (B, Q, 4) per decoder layer, cxcywh in [0, 1] of the unpadded image.
        encoder_logits: (B, Q, T) of the Q proposals that became the decoder's queries.
        encoder_boxes: (B, Q, 4) of the same proposals.
        denoised_logits: one (B, D, T) per decoder layer, of D noised copies of the labels; empty without denoising.
        denoised_boxes: one (B, D, 4) per decoder layer.
    """

    logits: list[Tensor]
    boxes: list[Tensor]
    encoder_logits: Tensor
    encoder_boxes: Tensor
    denoised_logits: Sequence[Tensor] = ()
    denoised_boxes: Sequence[Tensor] = ()


def layer_outputs(
    model: Any, outputs: Any, *, look_forward_twice: bool = True, copies: DecoderStates | None = None
) -> LayerOutputs:
    """The supervised layers of a plain transformers forward pass, without `labels`, in float32.

    Two things differ from what transformers feeds to its own loss (transformers 5.23,
    modeling_mm_grounding_dino.py). The encoder's term holds the chosen proposals themselves, so that the two-stage
    head learns. A decoder layer's reference keeps the gradient of the previous layer's prediction ("look forward
    twice", Zhang et al., arXiv:2203.03605, section 3.5). Values equal `outputs.logits` and `outputs.pred_boxes`.

    Args:
        model: a `GroundingDinoForObjectDetection` or `MMGroundingDinoForObjectDetection`.
        outputs: what `model(pixel_values, input_ids, attention_mask, pixel_mask)` returned.
        look_forward_twice: false: a layer's boxes teach that layer alone.
        copies: what the decoder made of noised copies, see `training.denoising`.

    Raises:
        ValueError: the model is not two-stage, so there are no proposals to supervise.
    """
    if outputs.enc_outputs_class is None:
        raise ValueError("The detector has no proposal stage (config.two_stage is false). Use a two-stage checkpoint.")
    tokens = outputs.input_ids.shape[1]
    encoder_logits, encoder_boxes = _proposals(outputs, model.config.num_queries)
    own = DecoderStates(
        outputs.intermediate_hidden_states, outputs.intermediate_reference_points, outputs.init_reference_points
    )
    logits, boxes = _decoder_layers(model, outputs, own, look_forward_twice)
    denoised_logits, denoised_boxes = (
        ([], []) if copies is None else _decoder_layers(model, outputs, copies, look_forward_twice)
    )
    return LayerOutputs(
        logits=[layer[..., :tokens] for layer in logits],
        boxes=boxes,
        encoder_logits=encoder_logits[..., :tokens],
        encoder_boxes=encoder_boxes,
        denoised_logits=[layer[..., :tokens] for layer in denoised_logits],
        denoised_boxes=denoised_boxes,
    )


def chosen_proposals(class_logits: Tensor, count: int) -> Tensor:
    """Indices (B, count) of the proposals with the highest logit of any token, from (B, S, T) logits."""
    return class_logits.amax(-1).topk(count, dim=1).indices


def _proposals(outputs: Any, count: int) -> tuple[Tensor, Tensor]:
    chosen = chosen_proposals(outputs.enc_outputs_class, count)[..., None]  # (B, Q, 1)
    logits = outputs.enc_outputs_class.float()
    logits = logits.gather(1, chosen.expand(-1, -1, logits.shape[-1]))
    boxes = outputs.enc_outputs_coord_logits.gather(1, chosen.expand(-1, -1, 4)).float().sigmoid()
    return logits, boxes


def _decoder_layers(
    model: Any, outputs: Any, states: DecoderStates, look_forward_twice: bool
) -> tuple[list[Tensor], list[Tensor]]:
    text = outputs.encoder_last_hidden_state_text.float()
    text_mask = _text_mask(outputs)
    reference = _inverse_sigmoid(states.initial)
    logits: list[Tensor] = []
    boxes: list[Tensor] = []
    for layer in range(states.hidden.shape[1]):
        hidden = states.hidden[:, layer].float()
        logits.append(
            model.class_embed[layer](vision_hidden_state=hidden, text_hidden_state=text, text_token_mask=text_mask)
        )
        moved = model.bbox_embed[layer](hidden)
        boxes.append((moved + reference).sigmoid())
        reference = _inverse_sigmoid(states.references[:, layer])
        if look_forward_twice:
            # The decoder detached its reference; it refines from the hidden state before the last norm, so the value
            # is taken from there and only the gradient from this layer's own step: the layers before it get none.
            reference = reference + (moved - moved.detach())
    return logits, boxes


def _text_mask(outputs: Any) -> Tensor:
    # transformers does not return the attention mask; it left its trace as -inf in the logits.
    tokens = outputs.input_ids.shape[1]
    mask: Tensor = outputs.logits[:, 0, :tokens] > -torch.inf
    return mask


def _inverse_sigmoid(boxes: Tensor) -> Tensor:
    return torch.logit(boxes.float(), eps=_LOGIT_EPS)
