"""The maps of a ResNet (He et al., arXiv:1512.03385), each convolution and its frozen batch norm at once.

A frozen batch norm is a factor and a shift for each channel. On a processor both go into the convolution's weights and
bias, which are small, instead of through the picture's memory twice; and pictures lie with their channels next to each
other, as convolutions and pooling are fastest there.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ResNetBackbone

_EPS = 1e-5  # of the frozen batch norms in transformers' detectors


@dataclass(frozen=True)
class _Folded:
    """A convolution with its batch norm in it, and what it was made of.

    Attributes:
        weight: (O, I, H, W), channels last in memory.
        shift: (O,).
        sources: the tensors that both were made of; held, so that no others can come to lie at their addresses.
        versions: of the sources, which count what is written into them, but for writing through `.data` or numpy.
    """

    weight: Tensor
    shift: Tensor
    sources: tuple[Tensor, ...]
    versions: tuple[int, ...]

    def is_of(self, sources: tuple[Tensor, ...]) -> bool:
        """Whether these are the same tensors, and nothing was written into them since."""
        same = all(a.data_ptr() == b.data_ptr() for a, b in zip(sources, self.sources, strict=True))
        return same and self.versions == _versions(sources)


_kept: WeakKeyDictionary[nn.Module, _Folded] = WeakKeyDictionary()


def is_foldable(backbone: Any) -> bool:
    """Whether it is a ResNet whose batch norms are all frozen, as in transformers' detectors."""
    if not isinstance(backbone, ResNetBackbone):
        return False
    return not any(isinstance(module, torch.nn.BatchNorm2d) for module in backbone.modules())


def folded_resnet_maps(backbone: Any, pixels: Tensor) -> list[Tensor]:
    """What a foldable ResNet gives, (B, C, H, W) for each of its `out_features`; without gradients.

    What is folded is kept for the next call where nothing learns, a second copy of the convolutions: folding takes a
    twentieth of the starter's time for a picture. Weights that learn are folded anew each time, as averages and some
    optimizers leave no trace of what they write.

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
    folded = _folded(layer)
    result = F.conv2d(hidden, folded.weight, folded.shift, layer.convolution.stride, layer.convolution.padding)
    return layer.activation(result) if hasattr(layer, "activation") else result


def _folded(layer: Any) -> _Folded:
    norm = layer.normalization
    sources = (layer.convolution.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    if any(source.requires_grad for source in sources):
        _kept.pop(layer, None)
        return _fold(*sources)
    known = _kept.get(layer)
    if known is None or not known.is_of(sources):
        known = _kept[layer] = _fold(*sources)
    return known


def _fold(convolution: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> _Folded:
    sources = (convolution, weight, bias, mean, variance)
    versions = _versions(sources)
    scale = weight * (variance + _EPS).rsqrt()
    scaled = (convolution * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
    return _Folded(scaled, bias - mean * scale, tuple(source.detach() for source in sources), versions)


def _versions(tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    return tuple(tensor._version for tensor in tensors)
