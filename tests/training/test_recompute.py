from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, MMGroundingDinoConfig, MMGroundingDinoForObjectDetection, SwinConfig

from tests.tiny_checkpoint import tiny_model
from training.config import TrainConfig
from training.data import Batch
from training.parameters import choose_trainable, set_mode
from training.recompute import SavedActivations, recomputing
from training.student import Student
from training.targets import Targets

EVERYTHING = TrainConfig(mode="closed", backbone_multiplier=1.0, text_multiplier=1.0, fusion_dropout=0.2, denoising=4)


def deep_model() -> Any:
    """A detector with enough layers for the memory between them to count."""
    torch.manual_seed(0)
    backbone = SwinConfig(
        image_size=64, embed_dim=16, depths=[2, 2, 4], num_heads=[2, 2, 2], window_size=4, out_indices=[2, 3]
    )
    text = BertConfig(vocab_size=1030, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    config = MMGroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        d_model=32,
        num_queries=30,
        num_feature_levels=2,
        encoder_layers=4,
        decoder_layers=3,
        encoder_ffn_dim=128,
        decoder_ffn_dim=64,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
    )
    return MMGroundingDinoForObjectDetection(config)


def batch(size_px: int = 96) -> Batch:
    """Two noisy images with a box each."""
    ids = torch.tensor([[101, 110, 1012, 111, 1012, 102]]).repeat(2, 1)
    positive = torch.zeros(1, 6, dtype=torch.bool)
    positive[0, 1] = True
    targets = Targets(torch.tensor([[0.5, 0.5, 0.4, 0.4]]), positive)
    pixels = torch.randn(2, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, size_px, size_px, dtype=torch.long)
    return Batch(pixels, mask, ids, torch.ones_like(ids), (targets, targets), (1, 2))


def gradients(model: Any, config: TrainConfig, recompute: bool) -> tuple[dict[str, Tensor], int]:
    """Gradient of each parameter that has one, and the bytes kept for them."""
    choose_trainable(model, config)
    set_mode(model, config)
    student = Student(model, config)
    saved = SavedActivations(student)
    torch.manual_seed(3)
    with recomputing(model) if recompute else nullcontext(), saved.watch():
        terms = student(batch())
    torch.autograd.backward(torch.stack(list(terms.values())).sum())
    found = {name: value.grad for name, value in student.named_parameters() if value.grad is not None}
    return found, saved.bytes


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("family", "backbone"), [("mm-grounding-dino", "swin"), ("grounding-dino", "resnet")])
def test_gradients_are_the_same_dropout_included(family: Any, backbone: Any, precision: str) -> None:
    config = EVERYTHING.updated({"precision": precision})
    kept, _ = gradients(tiny_model(family, backbone), config, recompute=False)
    anew, _ = gradients(tiny_model(family, backbone), config, recompute=True)
    torch.testing.assert_close(anew, kept, rtol=0, atol=0)


def test_at_most_half_of_the_memory_is_kept() -> None:
    _, kept = gradients(deep_model(), EVERYTHING, recompute=False)
    _, anew = gradients(deep_model(), EVERYTHING, recompute=True)
    assert 0 < anew < 0.5 * kept


def test_low_rank_adapters_on_a_frozen_detector_learn_the_same() -> None:
    config = EVERYTHING.updated({"lora_rank": 2, "backbone_multiplier": 0.0, "text_multiplier": 0.0})
    kept, _ = gradients(deep_model(), config, recompute=False)
    anew, _ = gradients(deep_model(), config, recompute=True)
    assert any("lora" in name for name in kept)
    torch.testing.assert_close(anew, kept, rtol=0, atol=0)


def test_afterwards_the_model_is_as_it_was() -> None:
    model = tiny_model()
    before = {name: module.forward for name, module in model.named_modules()}
    with recomputing(model):
        pass
    assert {name: module.forward for name, module in model.named_modules()} == before
    assert not [module for module in model.modules() if "forward" in vars(module)]
