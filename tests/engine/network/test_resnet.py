import gc
from copy import deepcopy
from functools import cache
from typing import Literal
from weakref import ref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import ResNetBackbone, ResNetConfig
from transformers.models.mm_grounding_dino.modeling_mm_grounding_dino import replace_batch_norm

from engine.network import resnet
from engine.network.resnet import folded_resnet_maps, is_foldable
from engine.network.switches import Switches

LayerType = Literal["basic", "bottleneck"]


@cache
def backbone(layer_type: LayerType = "basic", *, early: bool = False) -> ResNetBackbone:
    """A tiny one in float64, with frozen batch norms, whose every number matters."""
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 24],
        depths=[1, 2, 1],
        layer_type=layer_type,
        downsample_in_bottleneck=early,
        out_features=["stem", "stage2", "stage3"],
    )
    model = ResNetBackbone(config).eval()
    with torch.no_grad():
        replace_batch_norm(model)
    for name, values in model.named_buffers():
        values.uniform_(0.5, 2.0) if name.endswith(("weight", "var")) else values.normal_()
    return model.double()


def noise(count: int, height: int, width: int) -> torch.Tensor:
    """Pictures (count, 3, height, width) in float64, the same each time."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randn(count, 3, height, width, generator=generator, dtype=torch.float64)


@settings(max_examples=25)
@given(st.integers(8, 130), st.integers(8, 130), st.integers(1, 2), st.sampled_from(["basic", "bottleneck"]))
def test_maps_are_those_of_transformers_whatever_the_size(
    height: int, width: int, count: int, layer_type: LayerType
) -> None:
    model = backbone(layer_type, early=height % 2 == 0)
    pixels = noise(count, height, width)
    before = pixels.clone()
    with torch.no_grad():
        ours, theirs = folded_resnet_maps(model, pixels), model(pixels).feature_maps
    assert torch.equal(pixels, before)
    assert len(ours) == len(theirs) == 3
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("learning", [False, True])
@pytest.mark.parametrize("change", ["written", "replaced"])
@torch.no_grad()
def test_weights_that_change_count_from_the_next_call_on(change: str, learning: bool) -> None:
    model = deepcopy(backbone("bottleneck", early=True)).requires_grad_(learning)
    pixels = noise(1, 40, 60)
    before = folded_resnet_maps(model, pixels)[-1]
    layer = model.encoder.stages[-1].layers[0].layer[0]
    weight, norm = layer.convolution.weight, layer.normalization
    if change == "written":
        weight.mul_(2)
        norm.running_var.mul_(3)
    else:
        weight.data = weight.data * 2
        norm.running_var = norm.running_var * 3
    after = folded_resnet_maps(model, pixels)[-1]
    assert not torch.allclose(after, before)
    torch.testing.assert_close(after, model(pixels).feature_maps[-1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("fused", [False, True])
def test_what_an_optimizer_writes_counts_from_the_next_call_on(fused: bool) -> None:
    model = deepcopy(backbone()).requires_grad_(True)
    pixels = noise(1, 40, 60)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=fused)
    for _ in range(2):
        with torch.no_grad():
            ours, theirs = folded_resnet_maps(model, pixels)[-1], model(pixels).feature_maps[-1]
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
        model(pixels).feature_maps[-1].square().mean().backward()
        optimizer.step()


@torch.no_grad()
def test_what_does_not_learn_is_folded_once_and_forgotten_with_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    folded, fold = [], resnet._fold

    def noted(*sources: torch.Tensor) -> resnet._Folded:
        folded.append(sources)
        return fold(*sources)

    monkeypatch.setattr(resnet, "_fold", noted)
    model, pixels = deepcopy(backbone()).requires_grad_(False), noise(1, 40, 60)
    first = folded_resnet_maps(model, pixels)
    layers = [ref(module) for module in model.modules() if module in resnet._kept]
    assert len(layers) == len(folded) > 0
    for again, before in zip(folded_resnet_maps(model, pixels), first, strict=True):
        assert torch.equal(again, before)
    assert len(layers) == len(folded)
    del model
    gc.collect()
    assert all(layer() is None for layer in layers)


def test_gradients_take_transformers_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet, "_block", None)  # the other way is gone
    model, pixels, maps = backbone(), noise(1, 40, 60), Switches().feature_maps
    assert maps(model, pixels)[-1].requires_grad
    with torch.no_grad(), pytest.raises(TypeError):
        maps(model, pixels)


def test_batch_norms_that_still_learn_are_not_folded() -> None:
    learning = ResNetBackbone(backbone().config)
    assert any(isinstance(module, nn.BatchNorm2d) for module in learning.modules())
    assert not is_foldable(learning)
    assert is_foldable(backbone())
    assert not is_foldable(nn.Identity())
