"""Which of several equal ways the network takes: each can be turned off to see what it gains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.network.deformable import Sampler, grid_samples, kernel_or, weighted_bags
from engine.network.feed_forward import feed_forward, feed_forward_in_parts
from engine.network.fusion import fuse, fuse_through_text
from engine.network.resnet import folded_resnet_maps, is_foldable
from engine.network.swin import is_divisible, swin_maps_in_parts

Fuse = Callable[..., tuple[Tensor, Tensor]]
FeedForward = Callable[[Any, Any, Tensor], Tensor]


@dataclass(frozen=True)
class Switches:
    """All on is the fastest, `compiled` apart; all off does what transformers does.

    Attributes:
        fuse_through_text: image and text are fused by associativity, see `engine.network.fusion`.
        weighted_bags: deformable attention sums weighted rows instead of sampling grids.
        fast_products: a CPU multiplies by the faster of two libraries, see `engine.products`.
        kernel: deformable attention is sampled by a Triton kernel on a GPU that runs it, and by compiled loops on a
            processor where gradients are wanted; elsewhere it changes nothing.
        feed_in_parts: a CPU puts the cells through the feed-forward layers some after others.
        swin_in_parts: a CPU puts the windows of a Swin backbone through its blocks some after others.
        folded_resnet: a CPU puts the frozen batch norms of a ResNet backbone into its convolutions.
        true_text_length: scores are as long as the prompt instead of padded to the longest that the model reads.
        keep_features: those of the last pictures and prompts are kept where there is room (`engine.passes`).
        compiled: the answer is compiled by torch.compile, anew for other sizes of picture. It takes minutes, on a CPU a
            C++ compiler and on a GPU Triton, so it is off unless asked for: for many pictures of one size.
    """

    fuse_through_text: bool = True
    weighted_bags: bool = True
    fast_products: bool = True
    kernel: bool = True
    feed_in_parts: bool = True
    swin_in_parts: bool = True
    folded_resnet: bool = True
    true_text_length: bool = True
    keep_features: bool = True
    compiled: bool = False

    @property
    def fuse(self) -> Fuse:
        """How image and text look at each other."""
        return fuse_through_text if self.fuse_through_text else fuse

    @property
    def sampler(self) -> Sampler:
        """How deformable attention samples."""
        sampler = weighted_bags if self.weighted_bags else grid_samples
        return kernel_or(sampler) if self.kernel else sampler

    def feature_maps(self, backbone: Any, pixels: Tensor) -> list[Tensor]:
        """The maps that a backbone of transformers gives, (B, C, H, W) each, of pictures (B, 3, H, W)."""
        if pixels.device.type == "cpu" and not torch.is_grad_enabled():
            if self.swin_in_parts and is_divisible(backbone):
                return swin_maps_in_parts(backbone, pixels)
            if self.folded_resnet and is_foldable(backbone):
                return folded_resnet_maps(backbone, pixels)
        return list(backbone(pixels).feature_maps)

    @property
    def feed_forward(self) -> FeedForward:
        """How cells go through the two layers behind an attention."""
        return feed_forward_in_parts if self.feed_in_parts else feed_forward
