"""The maps of a ResNet (He et al., arXiv:1512.03385), each convolution and its frozen batch norm at once.

A frozen batch norm is a factor and a shift for each channel. On a processor both go into the convolution's weights and
bias, which are small, instead of through the picture's memory twice; and pictures lie with their channels next to each
other, as convolutions and pooling are fastest there.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import ResNetBackbone

_EPS = 1e-5  # of the frozen batch norms in transformers' detectors


def is_foldable(backbone: Any) -> bool:
    """Whether it is a ResNet whose batch norms are all frozen, as in transformers' detectors."""
    if not isinstance(backbone, ResNetBackbone):
        return False
    return not any(isinstance(module, torch.nn.BatchNorm2d) for module in backbone.modules())


def folded_resnet_maps(backbone: Any, pixels: Tensor) -> list[Tensor]:
    """What a foldable ResNet gives, (B, C, H, W) for each of its `out_features`; without gradients.

    Weights are folded anew at each call, as they may have changed: a twentieth of the starter's time for a picture.

    Args:
        backbone: see `is_foldable`.
        pixels: (B, 3, H, W).
    """
    hidden = pixels.contiguous(memory_format=torch.channels_last)
    hidden = backbone.embedder.pooler(_convolved(backbone.embedder.embedder, hidden))
    maps = {"stem": hidden}
    for name, stage in zip(backbone.stage_names[1:], backbone.encoder.stages, strict=True):
        for block in stage.layers:
            hidden = _block(block, hidden)
        maps[name] = hidden
    return [maps[name] for name in backbone.out_features]


def _block(block: Any, hidden: Tensor) -> Tensor:
    """A `ResNetBasicLayer` or `ResNetBottleNeckLayer`."""
    kept, result = hidden, hidden
    for layer in block.layer:
        result = _convolved(layer, result)
    if not isinstance(block.shortcut, torch.nn.Identity):
        kept = _convolved(block.shortcut, kept)
    added: Tensor = block.activation(result.add_(kept))
    return added


def _convolved(layer: Any, hidden: Tensor) -> Tensor:
    """A `ResNetConvLayer` or `ResNetShortCut`: convolution, frozen batch norm and, where there is one, activation."""
    convolution, norm = layer.convolution, layer.normalization
    scale = norm.weight * (norm.running_var + _EPS).rsqrt()
    weight = (convolution.weight * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
    shift = norm.bias - norm.running_mean * scale
    result = F.conv2d(hidden, weight, shift, convolution.stride, convolution.padding)
    return layer.activation(result) if hasattr(layer, "activation") else result
