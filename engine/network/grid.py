"""The cells of a picture's feature levels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.network.deformable import Shapes

FIRST_SIDE = 0.05  # of the proposals of the finest level, part of the picture's side; doubled at each level


@dataclass(frozen=True)
class CellGrid:
    """The cells of all feature levels of B pictures, S of them; B is 1 where all pictures are alike.

    Attributes:
        centres: (B, S, 2) x, y in [0, 1] of the unpadded picture.
        cell_wh: (B, S, 2) width and height of a cell in the same unit.
        level: (S,) long, 0 is the finest.
    """

    centres: Tensor
    cell_wh: Tensor
    level: Tensor


@dataclass(frozen=True)
class Grid(CellGrid):
    """The cells of pictures of one size without padding.

    Attributes:
        shapes: height and width of each level.
        proposal_logits: (1, S, 4) inverse sigmoid of the box cxcywh that each cell starts from, infinite where the
            model allows none.
        allowed: (1, S, 1) bool.
    """

    shapes: Shapes
    proposal_logits: Tensor
    allowed: Tensor


def grid_of(shapes: Shapes, device: torch.device | str = "cpu") -> Grid:
    """The cells of feature levels of these heights and widths."""
    centres, sizes, levels = [], [], []
    for number, (height, width) in enumerate(shapes):
        y, x = torch.meshgrid(
            torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
        )
        centre = torch.stack([x / width, y / height], -1).reshape(-1, 2)
        centres.append(centre)
        sizes.append(torch.tensor([1 / width, 1 / height], device=device).expand_as(centre))
        levels.append(torch.full((len(centre),), number, device=device))
    centre, level = torch.cat(centres), torch.cat(levels)
    side = (FIRST_SIDE * 2.0**level)[:, None].expand(-1, 2)
    boxes = torch.cat([centre, side], -1)[None]
    allowed = ((boxes > 0.01) & (boxes < 0.99)).all(-1, keepdim=True)
    return Grid(
        shapes=shapes,
        centres=centre[None],
        cell_wh=torch.cat(sizes)[None],
        level=level,
        proposal_logits=torch.logit(boxes).masked_fill(~allowed, torch.inf),
        allowed=allowed,
    )
