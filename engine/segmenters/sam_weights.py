"""The original SAM's network, its size read from the tensors of its checkpoint."""

from collections.abc import Mapping
from functools import partial

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from engine.errors import CheckpointRefused

Weights = Mapping[str, torch.Tensor]

_DECODER_HEADS = 8  # the one number that no tensor's shape tells; every published SAM has 8


def build_sam(weights: Weights) -> Sam:
    """A `Sam` of ViT-B, -L, -H or any other size with these weights, in eval mode.

    Raises:
        CheckpointRefused: they are not the tensors of a SAM.
    """
    try:
        sam = Sam(_image_encoder(weights), _prompt_encoder(weights), _mask_decoder(weights))
        sam.load_state_dict(weights)
    except (KeyError, IndexError, RuntimeError, ValueError, ZeroDivisionError, AssertionError) as error:
        raise CheckpointRefused(
            "These are not the weights of a SAM (segment-anything). Use sam_vit_b, sam_vit_l or sam_vit_h."
        ) from error
    return sam.eval()


def _image_encoder(weights: Weights) -> ImageEncoderViT:
    """Width, depth, heads, window and global blocks from the patch, position and relative position embeddings."""
    patches = weights["image_encoder.patch_embed.proj.weight"]  # (C, 3, patch, patch)
    positions = weights["image_encoder.pos_embed"]  # (1, side, side, C)
    width, side, patch = patches.shape[0], positions.shape[1], patches.shape[-1]
    depth = _count(weights, "image_encoder.blocks.{}.norm1.weight")
    # A block's table of relative positions has a row for each offset: 2 * (window or side) - 1 of them.
    tables = [weights[f"image_encoder.blocks.{block}.attn.rel_pos_h"] for block in range(depth)]
    reach = [(len(table) + 1) // 2 for table in tables]
    windows = [size for size in reach if size != side]
    return ImageEncoderViT(
        img_size=side * patch,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=width // tables[0].shape[1],
        mlp_ratio=weights["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / width,
        out_chans=weights["image_encoder.neck.0.weight"].shape[0],
        qkv_bias=True,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=windows[0] if windows else 0,
        global_attn_indexes=tuple(block for block, size in enumerate(reach) if size == side),
    )


def _prompt_encoder(weights: Weights) -> PromptEncoder:
    patch = weights["image_encoder.patch_embed.proj.weight"].shape[-1]
    side = weights["image_encoder.pos_embed"].shape[1]
    return PromptEncoder(
        embed_dim=weights["prompt_encoder.no_mask_embed.weight"].shape[1],
        image_embedding_size=(side, side),
        input_image_size=(side * patch, side * patch),
        mask_in_chans=weights["prompt_encoder.mask_downscaling.3.weight"].shape[0],
    )


def _mask_decoder(weights: Weights) -> MaskDecoder:
    width = weights["mask_decoder.iou_token.weight"].shape[1]
    return MaskDecoder(
        transformer_dim=width,
        transformer=TwoWayTransformer(
            depth=_count(weights, "mask_decoder.transformer.layers.{}.norm1.weight"),
            embedding_dim=width,
            num_heads=_DECODER_HEADS,
            mlp_dim=weights["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
        ),
        num_multimask_outputs=weights["mask_decoder.mask_tokens.weight"].shape[0] - 1,
        iou_head_depth=_count(weights, "mask_decoder.iou_prediction_head.layers.{}.weight"),
        iou_head_hidden_dim=weights["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
    )


def _count(weights: Weights, pattern: str) -> int:
    """How many numbers from 0 on make `pattern` the name of a tensor."""
    number = 0
    while pattern.format(number) in weights:
        number += 1
    return number
