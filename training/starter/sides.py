"""The losses of single cells: each one inside a thing says where the thing's sides lie."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.network.network import Image, box_deltas
from training.criterion import CriterionConfig
from training.dense import Cells, middle_cells
from training.matcher import giou
from training.targets import PaddedTargets, Targets, pad_targets

_INSIDE = 0.4  # of a thing's width and height to each side of its centre: all but its rim


class SideReader(nn.Linear):
    """Reads the distances of a thing's four sides from the features of a cell in it, and is no part of the detector.

    Attention in the decoder mixes cells linearly, so that it can take from them what a linear layer can read.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, 4)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


def side_losses(
    model: Any, reader: SideReader, encoded: Image, things: Sequence[Tensor], config: CriterionConfig
) -> dict[str, Tensor]:
    """Weighted "l1_cells" and "giou_cells" of the proposal head's boxes, and "sides" of what `reader` reads.

    A one-to-one match lets a few cells of a picture learn where boxes end. What other cells hold of it was so little
    that the decoder could not place boxes well, whatever it looked at. One-to-many heads beside the detector teach an
    encoder better (Co-DETR, Zong et al., arXiv:2211.12860); only boxes are taught so here, as scores must leave out
    second boxes.

    Args:
        model: an `MMGroundingDinoForObjectDetection`.
        reader: trained along.
        encoded: cells after the encoder, of B pictures.
        things: for each picture (N, 4) cxcywh in [0, 1], whether the prompt names them or not.
        config: weights of the box terms. All things count alike, and so do all levels that have cells in a thing.
    """
    targets = _padded(things)
    cells = middle_cells(encoded.grid, targets, encoded.grid.allowed[..., 0], _INSIDE)
    weight = _weights(cells, encoded.grid.level, targets)
    wanted = targets.boxes[cells.image, cells.target]  # (M, 4)
    features = encoded.cells[cells.image, cells.cell].float()
    boxes = _proposed(model.model, features, encoded.grid.proposal_logits[0, cells.cell])
    off = encoded.grid.centres[0, cells.cell] - wanted[:, :2]
    distances = torch.cat([wanted[:, 2:] / 2 + off, wanted[:, 2:] / 2 - off], -1)  # left, top, right, bottom
    terms = {
        "l1_cells": config.loss_l1 * (boxes - wanted).abs().sum(-1),
        "giou_cells": config.loss_giou * (1 - giou(boxes, wanted)[0]),
        "sides": config.loss_l1 * (reader(features) - distances).abs().sum(-1),
    }
    return {name: (term * weight).sum() / targets.total for name, term in terms.items()}


def _padded(things: Sequence[Tensor]) -> PaddedTargets:
    """As targets of a prompt of a single token."""
    one = torch.ones(len(things), 1, dtype=torch.bool, device=things[0].device)
    return pad_targets([Targets(boxes, one[:1].expand(len(boxes), -1)) for boxes in things], one)


def _weights(cells: Cells, level: Tensor, targets: PaddedTargets) -> Tensor:
    """(M,) so that the cells of a thing sum to 1, and those of each level to the same."""
    levels, most = int(level.max()) + 1, targets.boxes.shape[1]
    thing = cells.image * most + cells.target
    place = thing * levels + level[cells.cell]
    count = torch.bincount(place, minlength=len(targets.counts) * most * levels)
    levels_of = (count.reshape(-1, levels) > 0).sum(1)
    return 1 / (count[place] * levels_of[thing])


def _proposed(body: Any, features: Tensor, start: Tensor) -> Tensor:
    """(M, 4) cxcywh of the proposal head, from encoded features (M, D) and where cells begin."""
    cells = body.enc_output_norm(body.enc_output(features))
    return (box_deltas(body.encoder_output_bbox_embed, cells) + start).sigmoid()
