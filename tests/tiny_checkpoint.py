"""Tiny random detectors in the real checkpoint format, for tests that need a model but not its knowledge."""

import string
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ResNetConfig,
    SwinConfig,
)

from engine.pretrained import quiet_transformers

Family = Literal["mm-grounding-dino", "grounding-dino"]
Backbone = Literal["swin", "resnet"]

_WORDS = ("cat", "dog", "car", "red", "blue", "bird", "on", "the", "left", "ball", "remote", "control", "cell")
_FIXED_IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}


def tiny_tokenizer() -> PreTrainedTokenizerBase:
    """A WordPiece tokenizer over letters and a few words, with the ids that transformers hard-codes in place."""
    alphabet = string.ascii_lowercase + string.digits
    pieces = [*alphabet, *("##" + c for c in alphabet), *(set(string.punctuation) - set(".?")), *_WORDS]
    free = (index for index in range(104, 1012))
    vocabulary = _FIXED_IDS | dict(zip(sorted(pieces), free, strict=False))
    unused = set(range(1030)) - set(vocabulary.values())
    vocabulary |= {f"[unused{index}]": index for index in unused}
    tokenizer: PreTrainedTokenizerBase = BertTokenizer(vocab=dict(sorted(vocabulary.items(), key=lambda item: item[1])))
    return tokenizer


def tiny_model(
    family: Family = "mm-grounding-dino", backbone: Backbone = "swin", seed: int = 0, *, stirred: bool = True
) -> PreTrainedModel:
    """A detector of some 150,000 random parameters: 2 levels, 20 queries, 2 encoder and 2 decoder layers.

    Stirred, every part of it matters and hardly any change of its input is too small to show. Otherwise the
    parts that training starts at zero are zero: boxes are the proposals, and a little noise moves none.
    """
    shared: dict[str, Any] = {
        "backbone_config": _backbone_config(backbone),
        "text_config": BertConfig(
            vocab_size=1030,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=256,
        ),
        "d_model": 32,
        "num_queries": 20,
        "num_feature_levels": 2,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 32,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "init_std": 0.2,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if family == "mm-grounding-dino":
            model = MMGroundingDinoForObjectDetection(MMGroundingDinoConfig(**shared))
        else:
            model = GroundingDinoForObjectDetection(GroundingDinoConfig(**shared))
        if stirred:
            _stir(model)
    result: PreTrainedModel = model.eval()
    return result


def save_tiny_checkpoint(
    folder: Path, family: Family = "mm-grounding-dino", backbone: Backbone = "swin", seed: int = 0
) -> Path:
    """Write a tiny detector as transformers itself would, and give the folder back."""
    with quiet_transformers():
        tiny_model(family, backbone, seed).save_pretrained(folder)
        tiny_tokenizer().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_processor_type": "GroundingDinoImageProcessor", "size": {"shortest_edge": 96, "longest_edge": 160},'
        ' "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}',
        encoding="utf-8",
    )
    return folder


def _backbone_config(kind: Backbone) -> SwinConfig | ResNetConfig:
    if kind == "resnet":
        return ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], layer_type="basic", out_indices=[3, 4]
        )
    return SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1], num_heads=[2, 2, 2], window_size=4, out_indices=[2, 3]
    )


def _stir(model: PreTrainedModel) -> None:
    """Make an untrained model look at the image and the words: zero-initialised parts would hide mistakes."""
    for name, parameter in model.named_parameters():
        if "sampling_offsets" in name or ("bbox_embed" in name and "layers.2" in name) or "_param" in name:
            torch.nn.init.normal_(parameter, std=0.3)
