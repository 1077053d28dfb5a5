"""timm is not installed here: its names are written out, and its order of shifting and padding by hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import OmDetTurboConfig, OmDetTurboForObjectDetection, SwinBackbone, SwinConfig
from transformers.models.swin.modeling_swin import window_partition, window_reverse

from engine.checkpoints import load_detector
from engine.detectors.timm_swin import SWINS, native_config, native_weights, shift_as_timm, timm_name
from engine.ontology import Ontology
from tests.tiny_phrase_detectors import save_tiny_phrase_detector

TINY = "swin_tiny_patch4_window7_224"


def names_of_timm(embed_dim: int, depths: list[int], num_heads: list[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of timm's Swin as a feature extractor, and their shapes."""
    yield from (("patch_embed.proj.weight", (embed_dim, 3, 4, 4)), ("patch_embed.proj.bias", (embed_dim,)))
    yield from (("patch_embed.norm.weight", (embed_dim,)), ("patch_embed.norm.bias", (embed_dim,)))
    for stage, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
        width = embed_dim * 2**stage
        if stage:
            yield f"layers_{stage}.downsample.reduction.weight", (width, 2 * width)
            yield from ((f"layers_{stage}.downsample.norm.{kind}", (2 * width,)) for kind in ("weight", "bias"))
        for block in (f"layers_{stage}.blocks.{index}" for index in range(depth)):
            yield f"{block}.attn.relative_position_bias_table", (169, heads)
            for part, out, into in (("attn.qkv", 3, 1), ("attn.proj", 1, 1), ("mlp.fc1", 4, 1), ("mlp.fc2", 1, 4)):
                yield f"{block}.{part}.weight", (out * width, into * width)
                yield f"{block}.{part}.bias", (out * width,)
            yield from (
                (f"{block}.{norm}.{kind}", (width,)) for norm in ("norm1", "norm2") for kind in ("weight", "bias")
            )


def weights_of_timm(name: str, device: str = "cpu") -> dict[str, Tensor]:
    """Those of an OmDet-Turbo's backbone and the norms behind it."""
    settings: Any = SWINS[name]
    shapes = {f"vision_backbone.vision_backbone._backbone.{own}": shape for own, shape in names_of_timm(**settings)}
    for level in range(3):
        width = settings["embed_dim"] * 2 ** (level + 1)
        shapes |= {f"vision_backbone.layer_norms.{level}.{kind}": (width,) for kind in ("weight", "bias")}
    return {own: torch.randn(shape, device=device) * 0.05 for own, shape in shapes.items()}


@pytest.mark.parametrize("name", SWINS)
def test_every_tensor_of_timm_has_its_place_in_transformers_network(name: str) -> None:
    config = native_config({"backbone": name, "use_timm_backbone": True, "image_size": 64})
    with torch.device("meta"):
        model = OmDetTurboForObjectDetection(OmDetTurboConfig(**config))
    places = {own: value.shape for own, value in model.state_dict().items() if own.startswith("vision_backbone.")}
    given = native_weights(weights_of_timm(name, "meta"))
    norms = {own for own in places if ".layer_norms." in own}  # of other widths here, and out of use
    assert {own: value.shape for own, value in given.items() if own not in norms} == {
        own: shape for own, shape in places.items() if own not in norms
    }
    assert norms <= set(given)


def test_queries_keys_and_values_are_taken_apart_in_that_order() -> None:
    name = "vision_backbone.vision_backbone._backbone.layers_1.blocks.0.attn.qkv.bias"
    (parts,) = [native_weights({name: torch.tensor([1.0, 2, 3, 4, 5, 6])})]
    place = "vision_backbone.vision_backbone.swin.encoder.layers.1.blocks.0.attention"
    assert {own: value.tolist() for own, value in parts.items()} == {
        f"{place}.q_proj.bias": [1, 2],
        f"{place}.k_proj.bias": [3, 4],
        f"{place}.v_proj.bias": [5, 6],
    }


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"backbone": TINY, "use_timm_backbone": True, "backbone_kwargs": {"img_size": 640}}, TINY),
        ({"backbone_config": {"model_type": "timm_backbone", "backbone": TINY}}, TINY),
        ({}, TINY),
        ({"backbone_config": {"model_type": "swin"}}, None),
    ],
)
def test_a_config_says_which_backbone_of_timm_it_wants(config: dict[str, Any], expected: str | None) -> None:
    assert timm_name(config) == expected


def swin(side: int) -> SwinBackbone:
    torch.manual_seed(0)
    config = SwinConfig(image_size=side, embed_dim=8, depths=[2], num_heads=[2], window_size=4, out_indices=[1])
    return SwinBackbone(config).eval()


@torch.no_grad()
def test_a_map_is_shifted_before_it_is_padded() -> None:
    """Liu et al. shift the windows; where they do not divide a map of 9 x 9, timm pads what it has shifted."""
    backbone = swin(36)
    shift_as_timm(backbone)
    layer = backbone.swin.encoder.layers[0].blocks[1]
    cells = torch.randn(1, 81, 8)
    found = layer(cells, (9, 9), True)[0]
    grid = layer.layernorm_before(cells).view(1, 9, 9, 8).roll((-2, -2), (1, 2))
    padded = torch.nn.functional.pad(grid, (0, 0, 0, 3, 0, 3))  # (1, 12, 12, 8)
    windows = window_partition(padded, 4).view(-1, 16, 8)
    mask = layer.get_attn_mask(12, 12, dtype=padded.dtype, device=padded.device)
    attended = window_reverse(layer.attention(windows, mask)[0].view(-1, 4, 4, 8), 4, 12, 12)
    once = cells + attended[:, :9, :9].roll((2, 2), (1, 2)).reshape(1, 81, 8)
    torch.testing.assert_close(found, once + layer.mlp(layer.layernorm_after(once)))


@torch.no_grad()
def test_where_windows_divide_the_map_the_order_changes_nothing() -> None:
    for side, same in ((32, True), (36, False)):
        pixels = torch.randn(1, 3, side, side)
        plain, shifted = swin(side), swin(side)
        shift_as_timm(shifted)
        one, other = (backbone(pixels).feature_maps[0] for backbone in (plain, shifted))
        assert torch.equal(one, other) == same


@pytest.mark.slow
def test_a_folder_made_with_timm_is_answered_without_it(tmp_path: Path) -> None:
    """In the layout of the published ones: the backbone by its name, and tensors under timm's names."""
    folder = save_tiny_phrase_detector(tmp_path / "published", "omdet-turbo")
    config = json.loads((folder / "config.json").read_text())
    config |= {"backbone": TINY, "use_timm_backbone": True, "use_pretrained_backbone": False, "backbone_config": None}
    config |= {"backbone_kwargs": {"always_partition": True, "img_size": 96, "out_indices": [1, 2, 3]}}
    config |= {"encoder_in_channels": [192, 384, 768], "apply_layernorm_after_vision_backbone": True}
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    weights = {name: value for name, value in weights.items() if not name.startswith("vision_backbone.")}
    for level, width in enumerate((192, 384, 768)):
        weights[f"encoder.channel_projection_layers.{level}.0.weight"] = torch.randn(32, width, 1, 1) * 0.1
    save_file(weights | weights_of_timm(TINY), folder / "model.safetensors", metadata={"format": "pt"})
    picture = np.random.default_rng(0).integers(0, 256, (80, 96, 3), dtype=np.uint8)
    (found,) = load_detector(folder, device="cpu").detect([picture], Ontology.from_prompt("cat. dog."), threshold=0)
    assert len(found) > 0 and np.isfinite(found.xyxy).all()
