from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import SwinBackbone, SwinConfig

from engine.network import swin
from engine.network.swin import swin_maps_in_parts
from engine.network.switches import Switches


@cache
def backbone() -> SwinBackbone:
    """A tiny one in float64 whose every parameter matters."""
    torch.manual_seed(0)
    config = SwinConfig(
        embed_dim=16, depths=[2, 2, 2], num_heads=[1, 2, 4], window_size=7, out_features=["stage1", "stage3"]
    )
    model = SwinBackbone(config).eval()
    for parameter in model.parameters():  # transformers begins with biases of 0, which would hide what they are for
        torch.nn.init.normal_(parameter, std=0.3) if parameter.dim() == 1 else None
    for module in model.modules():
        if hasattr(module, "relative_position_bias_table"):
            torch.nn.init.normal_(module.relative_position_bias_table, std=1.0)
    return model.double()


@settings(max_examples=25)
@given(st.integers(4, 130), st.integers(4, 130), st.integers(1, 2), st.sampled_from([49, 200, 2048]))
def test_maps_are_those_of_transformers_whatever_the_size(height: int, width: int, count: int, at_once: int) -> None:
    model = backbone()
    generator = torch.Generator().manual_seed(height * 1000 + width)
    pixels = torch.randn(count, 3, height, width, generator=generator, dtype=torch.float64)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(swin, "_TOKENS_AT_ONCE", at_once)
        ours, theirs = swin_maps_in_parts(model, pixels), model(pixels).feature_maps
    assert len(ours) == len(theirs) == 2
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


def test_gradients_and_training_take_transformers_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swin, "_block", None)  # the other way is gone
    model, pixels, maps = backbone(), torch.randn(1, 3, 40, 60, dtype=torch.float64), Switches().feature_maps
    assert maps(model, pixels)[0].requires_grad
    with torch.no_grad():
        maps(model.train(), pixels)
        with pytest.raises(TypeError):
            maps(model.eval(), pixels)
