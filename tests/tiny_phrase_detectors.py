"""Tiny random OWLv2, OmDet-Turbo and SAM 3 in the real checkpoint formats."""

import json
import string
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    CLIPTokenizer,
    DetrImageProcessor,
    OmDetTurboConfig,
    OmDetTurboForObjectDetection,
    OmDetTurboProcessor,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Sam3Config,
    Sam3ImageProcessor,
    Sam3Model,
    Sam3Processor,
)

from engine.pretrained import quiet_transformers

Kind = Literal["owlv2", "omdet-turbo", "sam3"]
KINDS: tuple[Kind, ...] = ("owlv2", "omdet-turbo", "sam3")

OWLV2_TOKENS, OMDET_TOKENS, SAM3_TOKENS = 16, 40, 32

_LETTERS = string.ascii_lowercase + string.digits + ".,'-"
_WORDS = ("cat</w>", "dog</w>", "car</w>", "red</w>")


def clip_tokenizer(pad: str) -> PreTrainedTokenizerBase:
    """CLIP's tokenizer over letters and a few words; as in the real one the end of a text has the last id."""
    pieces = ["!", *_LETTERS, *(letter + "</w>" for letter in _LETTERS)]
    merges = [("c", "a"), ("ca", "t</w>"), ("ca", "r</w>"), ("d", "o"), ("do", "g</w>"), ("r", "e"), ("re", "d</w>")]
    tokens = [*pieces, "ca", "do", "re", *_WORDS, "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer: PreTrainedTokenizerBase = CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=pad)
    return tokenizer


def save_tiny_phrase_detector(folder: Path, kind: Kind, seed: int = 0) -> Path:
    """Write a tiny detector with its processor as transformers itself would, and give the folder back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = {"owlv2": _owlv2, "omdet-turbo": _omdet_turbo, "sam3": _sam3}[kind]()
        _stir(model)
    with quiet_transformers():
        model.eval().save_pretrained(folder)
        processor.save_pretrained(folder)
    return folder


def as_video_model(folder: Path) -> Path:
    """Make a saved SAM 3 what is published: its config and weights as the detector within the video model's."""
    from safetensors.torch import load_file, save_file

    config = json.loads((folder / "config.json").read_text())
    outer = {"model_type": "sam3_video", "architectures": ["Sam3VideoModel"], "detector_config": config}
    (folder / "config.json").write_text(json.dumps(outer))
    weights = {f"detector_model.{name}": value for name, value in load_file(folder / "model.safetensors").items()}
    weights["tracker_model.no_memory_embedding"] = torch.zeros(1, 1, 8)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _owlv2() -> tuple[PreTrainedModel, Any]:
    """For 64 px pictures: 16 patches, a box each."""
    tokenizer = clip_tokenizer("!")
    tokenizer.model_max_length = OWLV2_TOKENS
    config = Owlv2Config(
        text_config={**_clip_text(tokenizer, OWLV2_TOKENS), "pad_token_id": 0},
        vision_config=_blocks(hidden_size=32) | {"image_size": 64, "patch_size": 16},
        projection_dim=16,
    )
    images = Owlv2ImageProcessor(size={"height": 64, "width": 64})
    return Owlv2ForObjectDetection(config), Owlv2Processor(images, tokenizer)


def _omdet_turbo() -> tuple[PreTrainedModel, Any]:
    """For 96 px pictures: a native Swin, three levels, 20 queries."""
    tokenizer = clip_tokenizer("<|endoftext|>")
    config = OmDetTurboConfig(
        text_config={**_clip_text(tokenizer, OMDET_TOKENS), "model_type": "clip_text_model"},
        backbone_config={
            "model_type": "swin",
            "image_size": 96,
            "embed_dim": 8,
            "depths": [1, 1, 1, 1],
            "num_heads": [2, 2, 2, 2],
            "window_size": 4,
            "out_indices": [2, 3, 4],
        },
        apply_layernorm_after_vision_backbone=False,
        image_size=96,
        text_projection_in_dim=16,
        text_projection_out_dim=16,
        class_embed_dim=16,
        task_encoder_hidden_dim=32,
        num_queries=20,
        encoder_in_channels=[16, 32, 64],
        encoder_hidden_dim=32,
        encoder_dim_feedforward=32,
        encoder_attention_heads=2,
        vision_features_channels=[32, 32, 32],
        decoder_hidden_dim=32,
        decoder_num_heads=2,
        decoder_num_layers=2,
        decoder_dim_feedforward=32,
    )
    images = DetrImageProcessor(size={"height": 96, "width": 96})
    return OmDetTurboForObjectDetection(config), OmDetTurboProcessor(images, tokenizer)


def _sam3() -> tuple[PreTrainedModel, Any]:
    """For 56 px pictures: 4 x 4 patches, 10 queries, masks of 16 x 16."""
    tokenizer = clip_tokenizer("<|endoftext|>")
    part = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32, "num_layers": 2, "dropout": 0.0}
    config = Sam3Config(
        vision_config={
            "backbone_config": _blocks(hidden_size=32)
            | {
                "model_type": "sam3_vit_model",
                "image_size": 56,
                "pretrain_image_size": 28,
                "patch_size": 14,
                "window_size": 2,
                "global_attn_indexes": [1],
            },
            "fpn_hidden_size": 32,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={**_clip_text(tokenizer, SAM3_TOKENS), "projection_dim": 16, "model_type": "clip_text_model"},
        geometry_encoder_config=part,
        detr_encoder_config=part,
        detr_decoder_config={**part, "num_queries": 10},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )
    images = Sam3ImageProcessor(size={"height": 56, "width": 56})
    return Sam3Model(config), Sam3Processor(images, tokenizer)


def _blocks(hidden_size: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden_size,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }


def _clip_text(tokenizer: PreTrainedTokenizerBase, tokens: int) -> dict[str, Any]:
    return _blocks(hidden_size=16) | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": tokens,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def _stir(model: PreTrainedModel) -> None:
    """Make an untrained model look at the image and the words: small weights would hide mistakes."""
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "position" not in name:
            torch.nn.init.normal_(parameter, std=0.1 if "bbox_head" in name else 0.2)
        elif "bbox_head" in name and parameter.shape == (4,):  # OmDet-Turbo's: boxes that overlap
            parameter.data.copy_(torch.tensor([0.0, 0.0, 1.0, 1.0]))
