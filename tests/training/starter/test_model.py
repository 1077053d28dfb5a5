"""The starts that let a starter learn."""

from typing import Any

import pytest
import torch
from transformers.models.mm_grounding_dino import modeling_mm_grounding_dino as hf

from training.starter.batches import SceneBatch
from training.starter.calibration import calibrate_batch_norm
from training.starter.model import build_starter, let_queries_see_neighbours, starter_config


@pytest.fixture
def starter() -> Any:
    return build_starter(starter_config(200, width=64, queries=20))


def test_everything_learns(starter: Any) -> None:
    assert all(parameter.requires_grad for parameter in starter.parameters())
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in starter.modules()) > 10


@torch.no_grad()
def test_queries_at_the_same_place_attract_each_other(starter: Any) -> None:
    let_queries_see_neighbours(starter)
    boxes = torch.tensor([[0.30, 0.30, 0.2, 0.2], [0.32, 0.29, 0.2, 0.2], [0.30, 0.60, 0.2, 0.2], [0.8, 0.8, 0.2, 0.2]])
    sines = hf.encode_sinusoidal_position_embedding(boxes, num_pos_feats=starter.config.d_model // 2)
    places = starter.model.decoder.reference_points_head(sines)
    attention = starter.model.decoder.layers[0].self_attn
    price = attention.query(places) @ attention.key(places).T  # (4, 4)
    same_place, same_column, far = price[0, 1], price[0, 2], price[0, 3]
    assert same_place > 0.7 * price[0, 0]
    assert far < 0.05 * same_place
    assert far < same_column < 0.7 * same_place  # equal in x alone


@torch.no_grad()
def test_calibrated_statistics_are_the_mean_of_what_was_seen(starter: Any) -> None:
    seen = [torch.randn(4, 3, 64, 64) * scale for scale in (1.0, 3.0)]
    batches = [SceneBatch(pixels, torch.zeros(1, 1), torch.ones(1, 1).bool(), [], [], []) for pixels in seen]
    conv_encoder = starter.model.backbone.conv_encoder.model
    stem = conv_encoder.embedder.embedder
    wanted = torch.stack([stem.convolution(pixels).mean((0, 2, 3)) for pixels in seen]).mean(0)
    calibrate_batch_norm(starter, batches)
    torch.testing.assert_close(stem.normalization.running_mean, wanted, rtol=1e-4, atol=1e-5)
    assert stem.normalization.momentum == 0.05
