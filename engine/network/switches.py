"""Which of several equal ways the network takes: each can be turned off to see what it gains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from engine.network.deformable import Sampler, grid_samples, kernel_or, weighted_bags
from engine.network.feed_forward import feed_forward, feed_forward_in_parts
from engine.network.fusion import fuse, fuse_through_text
from engine.network.swin import feature_maps, feature_maps_in_parts

Fuse = Callable[..., tuple[Tensor, Tensor]]
FeedForward = Callable[[Any, Any, Tensor], Tensor]
FeatureMaps = Callable[[Any, Tensor], list[Tensor]]


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

    @property
    def feature_maps(self) -> FeatureMaps:
        """How a backbone sees pictures."""
        return feature_maps_in_parts if self.swin_in_parts else feature_maps

    @property
    def feed_forward(self) -> FeedForward:
        """How cells go through the two layers behind an attention."""
        return feed_forward_in_parts if self.feed_in_parts else feed_forward
