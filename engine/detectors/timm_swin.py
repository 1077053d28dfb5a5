"""timm's Swin in transformers' own, number for number: published OmDet-Turbo are made with timm, which is not here."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers.models.swin.modeling_swin import SwinLayer

SWINS: Mapping[str, Mapping[str, Any]] = {
    "swin_tiny_patch4_window7_224": {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24]},
    "swin_base_patch4_window7_224": {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32]},
}
"""Names of timm with the settings of transformers' `SwinConfig` that build the same network."""

_DEFAULT = "swin_tiny_patch4_window7_224"  # of transformers, where a config names none
_FROM = "vision_backbone.vision_backbone._backbone."
_TO = "vision_backbone.vision_backbone."
_NAMES = (
    (r"^patch_embed\.proj\.", "swin.embeddings.patch_embeddings.projection."),
    (r"^patch_embed\.norm\.", "swin.embeddings.norm."),
    (r"^layers_(\d+)\.blocks\.", r"swin.encoder.layers.\1.blocks."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.o_proj."),
    (r"\.attn\.relative_position_bias_table", ".attention.relative_position_bias.relative_position_bias_table"),
)


def timm_name(config: Mapping[str, Any]) -> object:
    """What an OmDet-Turbo's config calls its backbone in timm; None where it is one of transformers' own."""
    settings = config.get("backbone_config")
    if settings is None:
        return config.get("backbone") or _DEFAULT
    is_timm = isinstance(settings, Mapping) and settings.get("model_type") == "timm_backbone"
    return (settings.get("backbone") or "none") if is_timm else None


def native_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of an OmDet-Turbo on one of `SWINS` as that of the same network on transformers' own Swin."""
    of_timm = {"backbone", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone"}
    swin = {"model_type": "swin", "window_size": 7, "out_indices": [2, 3, 4], **SWINS[str(timm_name(config))]}
    own = {key: value for key, value in config.items() if key not in of_timm}
    return {**own, "backbone_config": swin, "apply_layernorm_after_vision_backbone": False}


def native_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of an OmDet-Turbo on timm's Swin under the names that it has on transformers' own.

    timm keeps queries, keys and values in one matrix, counts a downsampling to the stage behind it, and leaves the
    norms of the feature maps to OmDet-Turbo.
    """
    result: dict[str, Tensor] = {}
    for name, value in weights.items():
        if norm := re.fullmatch(r"vision_backbone\.layer_norms\.(\d+)\.(\w+)", name):
            result[f"{_TO}hidden_states_norms.stage{int(norm[1]) + 2}.{norm[2]}"] = value
            result[name] = result[f"{_TO}swin.layernorm.{norm[2]}"] = value  # there, but out of use
        elif name.startswith(_FROM):
            result |= {_TO + own: part for own, part in _renamed(name.removeprefix(_FROM), value).items()}
        else:
            result[name] = value
    return result


def _renamed(name: str, value: Tensor) -> dict[str, Tensor]:
    """A tensor of timm's as the one or three of transformers'."""
    if down := re.fullmatch(r"layers_(\d+)\.downsample\.(.+)", name):
        return {f"swin.encoder.layers.{int(down[1]) - 1}.downsample.{down[2]}": value}
    for pattern, own in _NAMES:
        name = re.sub(pattern, own, name)
    if ".attn.qkv." in name:
        parts = zip("qkv", value.chunk(3), strict=True)
        return {name.replace(".attn.qkv.", f".attention.{letter}_proj."): part.clone() for letter, part in parts}
    return {name: value}


def shift_as_timm(backbone: Any) -> None:
    """Make a `SwinBackbone` compute as timm's where its windows do not divide a map: another order, other windows."""
    for stage in backbone.swin.encoder.layers:
        for layer in stage.blocks:
            layer.__class__ = _ShiftedFirst


class _ShiftedFirst(SwinLayer):  # type: ignore[misc]  # transformers is untyped
    """A layer that shifts a map and then pads it; transformers' own pads it first."""

    def maybe_pad(self, hidden_states: Tensor, height: int, width: int) -> tuple[Tensor, tuple[int, ...]]:
        self.size_hw = height, width
        padded: tuple[Tensor, tuple[int, ...]] = super().maybe_pad(super().cyclic_shift(hidden_states), height, width)
        return padded

    def cyclic_shift(self, hidden_states: Tensor, reverse: bool = False) -> Tensor:
        if not reverse:
            return hidden_states
        height, width = self.size_hw
        shifted: Tensor = super().cyclic_shift(hidden_states[:, :height, :width], reverse=True)
        return shifted
