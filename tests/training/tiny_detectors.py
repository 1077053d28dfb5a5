"""Small random detectors in transformers' own classes, for tests that need a forward pass and no skill."""

from typing import Any

import torch
from transformers import (
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    ResNetConfig,
)

_CLASSES = {
    "mm": (MMGroundingDinoConfig, MMGroundingDinoForObjectDetection),
    "original": (GroundingDinoConfig, GroundingDinoForObjectDetection),
}


def tiny_detector(kind: str = "mm", seed: int = 0, decoder_layers: int = 2) -> Any:
    """A random detector of 32 channels and 12 queries, everything trainable, in evaluation mode."""
    config_class, model_class = _CLASSES[kind]
    torch.manual_seed(seed)
    backbone = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 32],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage3", "stage4"],
    )
    text = BertConfig(vocab_size=1100, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    config = config_class(
        backbone_config=backbone,
        text_config=text,
        d_model=32,
        encoder_layers=2,
        decoder_layers=decoder_layers,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=12,
        num_feature_levels=2,
        decoder_bbox_embed_share=False,
        decoder_cls_embed_share=False,
    )
    model = model_class(config).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
        if not parameter.any():  # a branch that starts at zero would hide what flows through it
            torch.nn.init.normal_(parameter, std=0.1)
    return model
