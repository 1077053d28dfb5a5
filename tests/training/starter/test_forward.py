"""The fast forward pass and the export, against plain transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import MMGroundingDinoForObjectDetection

from engine.network.grid import Grid
from training.layer_outputs import LayerOutputs, layer_outputs
from training.starter.casting import Phrase
from training.starter.export import export
from training.starter.forward import StarterForward
from training.starter.model import build_starter, freeze_batch_norm, start_encoder_as_identity, starter_config
from training.starter.prompts import PromptWriter
from training.starter.tokenizer import build_tokenizer

NAMES = ["dog", "green apple", "camera"]


@pytest.fixture
def starter() -> Any:
    """Narrow, random, with batch norms that have seen something; what a test draws is the same each time."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    model = build_starter(starter_config(len(tokenizer), width=32, queries=20))
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        for _ in range(3):
            StarterForward(model)(torch.randn(4, 3, 96, 128), prompt(), everywhere(prompt()))
    return model


def prompt() -> Tensor:
    return PromptWriter(build_tokenizer()).write([Phrase(name) for name in NAMES]).input_ids[None]


def everywhere(input_ids: Tensor) -> Tensor:
    return torch.ones_like(input_ids, dtype=torch.bool)


def plain(model: Any, pixels: Tensor) -> Any:
    ids = prompt().expand(len(pixels), -1)
    return model(pixel_values=pixels, input_ids=ids, attention_mask=torch.ones_like(ids))


def assert_same(fast: LayerOutputs, slow: LayerOutputs, tokens: Tensor) -> None:
    """Equal boxes, and equal logits of the real `tokens` (B, T)."""
    for mine, theirs in zip([*fast.boxes, fast.encoder_boxes], [*slow.boxes, slow.encoder_boxes], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip([*fast.logits, fast.encoder_logits], [*slow.logits, slow.encoder_logits], strict=True):
        for image, real in enumerate(tokens):
            width = len(real)
            torch.testing.assert_close(mine[image][:, real], theirs[image, :, :width][:, real], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_it_says_what_transformers_says(starter: Any) -> None:
    starter.eval()
    pixels = torch.randn(2, 3, 96, 160)
    fast, _ = StarterForward(starter)(pixels, prompt(), everywhere(prompt()))
    slow = layer_outputs(starter, plain(starter, pixels))
    assert_same(fast, slow, everywhere(prompt()).expand(2, -1))


@torch.no_grad()
def test_it_says_what_transformers_says_with_a_text_for_each_picture(starter: Any) -> None:
    starter.eval()
    pixels = torch.randn(2, 3, 96, 160)
    tokenizer = build_tokenizer()
    padded = tokenizer(["the cat left of the dog.", "a pear."], padding=True, return_tensors="pt")
    ids, real = padded["input_ids"], padded["attention_mask"].bool()
    assert not real.all()
    fast, _ = StarterForward(starter)(pixels, ids, real)
    slow = starter(pixel_values=pixels, input_ids=ids, attention_mask=padded["attention_mask"])
    assert_same(fast, layer_outputs(starter, slow), real)


@torch.no_grad()
def test_freezing_the_batch_norms_changes_no_logit(starter: Any) -> None:
    starter.eval()
    pixels = torch.randn(2, 3, 96, 128)
    before = plain(starter, pixels).logits
    freeze_batch_norm(starter)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in starter.modules())
    torch.testing.assert_close(plain(starter, pixels).logits, before, rtol=0, atol=1e-4)


@torch.no_grad()
def test_the_dense_pass_is_the_proposal_stage_of_an_encoder_that_adds_nothing(starter: Any) -> None:
    starter.eval()
    start_encoder_as_identity(starter)
    for layer in starter.model.encoder.layers:
        layer.fusion_layer.vision_param.zero_()
        layer.fusion_layer.text_param.zero_()
    for module in starter.model.encoder.modules():
        if isinstance(module, torch.nn.LayerNorm):
            torch.nn.init.ones_(module.weight)
            torch.nn.init.zeros_(module.bias)
    pixels = torch.randn(1, 3, 96, 128)
    dense = StarterForward(starter).dense(pixels, prompt(), everywhere(prompt()))
    proposals = plain(starter, pixels).enc_outputs_class[..., : dense.logits.shape[-1]]
    assert isinstance(dense.grid, Grid)
    inside = dense.grid.allowed[0, :, 0]
    torch.testing.assert_close(dense.logits[:, inside], proposals[:, inside], rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_an_export_loads_in_plain_transformers(starter: Any, tmp_path: Path) -> None:
    starter.eval()
    export(starter, build_tokenizer(), tmp_path)
    loaded = MMGroundingDinoForObjectDetection.from_pretrained(tmp_path, local_files_only=True, dtype=torch.float32)
    pixels = torch.randn(1, 3, 96, 128)
    before, after = plain(starter, pixels), plain(loaded.eval(), pixels)
    # Half precision moves weights by up to 2^-11 of their size.
    difference = (after.enc_outputs_class - before.enc_outputs_class)[..., : prompt().shape[1]].abs()
    assert difference.max().item() < 0.05
    assert starter.training is False
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in starter.modules())
