"""The starter segmenter's network: transformers' `SamModel`, made small."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

_FREQUENCY = 0.5  # deviation of the positions' random frequencies, in turns in half a picture's side
_SPREAD = 0.02  # of fresh weights; transformers' default for SAM's image encoder is 1e-10, for loading only


@dataclass(frozen=True)
class SegmenterSize:
    """How large a segmenter is; the defaults give 2.2 million parameters, 4.5 MB in half precision.

    Attributes:
        side: of the square input in pixels; a picture's longer side is scaled to it.
        patch: pixels a side of what becomes one cell; masks have four times as many cells a side.
        window: cells a side within which most layers look around.
        everywhere: the layers that look at the whole picture.
    """

    side: int = 288
    patch: int = 12
    width: int = 128
    heads: int = 4
    layers: int = 6
    window: int = 8
    everywhere: tuple[int, ...] = (3,)
    decoder_width: int = 128
    decoder_heads: int = 4
    decoder_mlp: int = 512

    @property
    def mask_side(self) -> int:
        """Cells a side of a mask's logits."""
        return 4 * self.side // self.patch


def segmenter_config(size: SegmenterSize) -> SamConfig:
    """The same in transformers' terms.

    Without relative positions, for speed; ReLU, because the gradient of GELU in bfloat16 is slow on CPUs.
    """
    vision = SamVisionConfig(
        hidden_size=size.width,
        output_channels=size.decoder_width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        image_size=size.side,
        patch_size=size.patch,
        hidden_act="relu",
        initializer_range=_SPREAD,
        use_rel_pos=False,
        window_size=size.window,
        global_attn_indexes=list(size.everywhere),
        num_pos_feats=size.decoder_width // 2,
    )
    prompts = SamPromptEncoderConfig(hidden_size=size.decoder_width, image_size=size.side, patch_size=size.patch)
    decoder = SamMaskDecoderConfig(
        hidden_size=size.decoder_width,
        mlp_dim=size.decoder_mlp,
        num_attention_heads=size.decoder_heads,
        iou_head_hidden_dim=size.decoder_width,
    )
    return SamConfig(
        vision_config=vision.to_dict(), prompt_encoder_config=prompts.to_dict(), mask_decoder_config=decoder.to_dict()
    )


def build_segmenter(size: SegmenterSize | None = None, seed: int = 0) -> SamModel:
    """A segmenter with fresh weights, all of which learn but the frequencies of its positions."""
    config = segmenter_config(size or SegmenterSize())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Fused attention in bfloat16 is 2 to 5 times slower than plain products at these sizes.
        model = SamModel._from_config(config, attn_implementation="eager")
        _start(model)
    model.shared_image_embedding.positional_embedding.requires_grad_(False)
    return model


@torch.no_grad()
def _start(model: Any) -> None:
    """Fresh weights with which a prompt finds its place in the picture from the first step on.

    transformers starts all products at a deviation of 0.02, made for wide models: at this width attention is then the
    same everywhere, and a segmenter answers "nothing" for its first thousand steps.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
    model.shared_image_embedding.positional_embedding.normal_(std=_FREQUENCY)
    places = model.get_image_wide_positional_embeddings()  # (1, C, h, w)
    cells = model.vision_encoder.pos_embed  # (1, h, w, width)
    channels = torch.arange(cells.shape[-1]) % places.shape[1]
    cells.copy_(0.5 * places[:, channels].permute(0, 2, 3, 1))
    decoder = model.mask_decoder.transformer
    attentions = [decoder.final_attn_token_to_image]
    for layer in decoder.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    for attention in attentions:
        attention.k_proj.weight.copy_(attention.q_proj.weight)  # what is near in place is alike


@torch.no_grad()
def enlarge(model: Any, larger: Any) -> None:
    """Give a fresh model of a larger side, the same otherwise, the weights of a trained one."""
    weights = dict(model.state_dict())
    cells = weights["vision_encoder.pos_embed"].permute(0, 3, 1, 2)  # (1, width, h, w)
    side = larger.vision_encoder.pos_embed.shape[1]
    spread = nn.functional.interpolate(cells, size=(side, side), mode="bicubic", align_corners=False)
    weights["vision_encoder.pos_embed"] = spread.permute(0, 2, 3, 1)
    larger.load_state_dict(weights)
