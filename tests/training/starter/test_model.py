"""The starts that let a starter learn."""

from typing import Any

import pytest
import torch
from transformers.models.mm_grounding_dino import modeling_mm_grounding_dino as hf

from engine.network.network import GroundingNetwork
from training.starter.batches import SceneBatch
from training.starter.calibration import calibrate_batch_norm
from training.starter.model import (
    build_starter,
    let_queries_know_their_place,
    let_queries_see_neighbours,
    start_encoder_as_identity,
    starter_config,
)


@pytest.fixture
def starter() -> Any:
    torch.manual_seed(0)  # for what a test draws, too
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
def test_a_querys_contents_say_where_it_lies_after_each_layer(starter: Any) -> None:
    start_encoder_as_identity(starter)
    let_queries_see_neighbours(starter)
    before = min(_legible_places(starter))  # cells feel the picture's edges
    let_queries_know_their_place(starter)
    assert min(_legible_places(starter)) > max(before + 0.1, 0.8)


def _legible_places(starter: Any) -> list[float]:
    """How much of the variance of x and y, at least, a linear map reads from the contents after each decoder layer.

    The map is fitted to the queries of one half of the pictures, and held against those of the other.
    """
    network, random = GroundingNetwork(starter.eval()), torch.Generator().manual_seed(0)
    text = network.text(torch.randint(5, 200, (1, 20), generator=random), torch.ones(1, 20, dtype=torch.bool))
    image = network.image(torch.randn(48, 3, 320, 384, generator=random))
    centres = torch.rand(48, starter.config.num_queries, 2, generator=random) * 0.8 + 0.1
    contents: list[torch.Tensor] = []
    hook = starter.model.decoder.layer_norm.register_forward_hook(lambda _, __, normed: contents.append(normed))
    list(network.decode(image, text, torch.cat([centres, torch.full_like(centres, 0.12)], -1)))
    hook.remove()
    result = []
    for of_layer in contents:
        rows, wanted = of_layer.flatten(0, 1), centres.flatten(0, 1)
        rows = torch.cat([rows, torch.ones(len(rows), 1)], 1)
        half = len(rows) // 2
        fitted = torch.linalg.lstsq(rows[:half], wanted[:half]).solution
        left = (rows[half:] @ fitted - wanted[half:]).square().mean(0)
        result.append(float((1 - left / wanted[half:].var(0)).min()))
    return result


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
