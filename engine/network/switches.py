"""Which of several equal ways the network takes: each can be turned off to see what it gains."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from engine.network.deformable import Sampler, grid_samples, weighted_bags
from engine.network.fusion import fuse, fuse_through_text

Fuse = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Switches:
    """All on is the fastest; all off does what transformers does.

    Attributes:
        fuse_through_text: image and text are fused by associativity, see `engine.network.fusion`.
        weighted_bags: deformable attention sums weighted rows instead of sampling grids.
    """

    fuse_through_text: bool = True
    weighted_bags: bool = True

    @property
    def fuse(self) -> Fuse:
        """How image and text look at each other."""
        return fuse_through_text if self.fuse_through_text else fuse

    @property
    def sampler(self) -> Sampler:
        """How deformable attention samples."""
        return weighted_bags if self.weighted_bags else grid_samples
