"""Deformable attention of a detector of transformers, sampled by the engine's ways while it learns."""

from typing import Any

from torch import Tensor, nn

from engine.network.deformable import grid_samples, kernel_or


def sample_by_engine(model: nn.Module) -> None:
    """Replace, in place, the part of each deformable attention that samples and holds no weight.

    transformers writes what it takes from every place to memory, weighs it, and sums it up; on the way back it does the
    same again. The engine's loops on a processor and its kernel on a GPU write the sums alone. Equal but for rounding.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child).__name__ == "MultiScaleDeformableAttention":  # Grounding DINO's and MM-Grounding-DINO's
                setattr(module, name, _EngineSampling())


class _EngineSampling(nn.Module):
    """What transformers calls as its `MultiScaleDeformableAttention`."""

    def __init__(self) -> None:
        super().__init__()
        self._samples = kernel_or(grid_samples)

    def forward(
        self,
        value: Tensor,
        value_spatial_shapes: Tensor,
        value_spatial_shapes_list: list[Any],
        level_start_index: Tensor,
        sampling_locations: Tensor,
        attention_weights: Tensor,
        im2col_step: int,
    ) -> Tensor:
        """(B, N, H * C) of (B, S, H, C) values, (B, N, H, L, P, 2) places and (B, N, H, L, P) weights."""
        shapes = tuple((int(height), int(width)) for height, width in value_spatial_shapes_list)
        return self._samples(value, sampling_locations, attention_weights, shapes)
