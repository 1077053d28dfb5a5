"""Which of several equal ways the network takes: each can be turned off to see what it gains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from engine.network.deformable import Sampler, grid_samples, kernel_or, weighted_bags
from engine.network.feed_forward import feed_forward, feed_forward_in_parts
from engine.network.fusion import fuse, fuse_through_text

Fuse = Callable[..., tuple[Tensor, Tensor]]
FeedForward = Callable[[Any, Any, Tensor], Tensor]


@dataclass(frozen=True)
class Switches:
    """All on is the fastest, `compiled` apart; all off does what transformers does.

    Attributes:
        fuse_through_text: image and text are fused by associativity, see `engine.network.fusion`.
        weighted_bags: deformable attention sums weighted rows instead of sampling grids.
        kernel: deformable attention is sampled by a Triton kernel on a GPU that runs it; elsewhere it changes nothing.
        feed_in_parts: a CPU puts the cells through the feed-forward layers some after others.
        true_text_length: scores are as long as the prompt instead of padded to the longest that the model reads.
        keep_features: those of the last pictures and prompts are kept where there is room (`engine.passes`).
        compiled: the answer is compiled by torch.compile, anew for other sizes of picture. It takes minutes, on a CPU a
            C++ compiler and on a GPU Triton, so it is off unless asked for: for many pictures of one size.
    """

    fuse_through_text: bool = True
    weighted_bags: bool = True
    kernel: bool = True
    feed_in_parts: bool = True
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
    def feed_forward(self) -> FeedForward:
        """How cells go through the two layers behind an attention."""
        return feed_forward_in_parts if self.feed_in_parts else feed_forward
