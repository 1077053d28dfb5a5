"""The loss of stage A: every cell in the middle of a thing answers for it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.criterion import CriterionConfig, iou_aware_loss
from training.matcher import giou
from training.starter.forward import DenseOutputs, Grid
from training.targets import PaddedTargets

_MIDDLE = 0.25  # of a box's width and height to each side of its centre


@dataclass(frozen=True)
class Cells:
    """Which cell of which image answers for which labelled box; three index tensors (M,)."""

    image: Tensor
    cell: Tensor
    target: Tensor


def dense_loss(outputs: DenseOutputs, targets: PaddedTargets, config: CriterionConfig) -> dict[str, Tensor]:
    """Weighted "class", "l1" and "giou" terms, each divided by the number of answering cells.

    A one-to-one match gives a detector that starts from nothing too few examples: alone it learns nothing in the time
    in which this loss teaches the backbone, the text and the proposal head.
    """
    cells = middle_cells(outputs.grid, targets)
    boxes = outputs.boxes[cells.image, cells.cell].float()
    wanted = targets.boxes[cells.image, cells.target]
    generalised, iou = giou(boxes, wanted)
    logits = outputs.logits.float()
    positive = torch.zeros_like(logits)
    positive[cells.image, cells.cell] = targets.positive_map[cells.image, cells.target]
    quality = torch.zeros_like(logits[..., :1])
    quality[cells.image, cells.cell] = iou.detach().clamp(min=0)[:, None]
    classes = iou_aware_loss(logits, positive, quality, config.alpha, config.gamma)
    count = max(len(cells.image), 1)
    return {
        "class": config.loss_class * classes.sum() / count,
        "l1": config.loss_l1 * (boxes - wanted).abs().sum() / count,
        "giou": config.loss_giou * (1 - generalised).sum() / count,
    }


@torch.no_grad()
def middle_cells(grid: Grid, targets: PaddedTargets) -> Cells:
    """Cells whose centre lies in the central half of a box; where several claim one, the smallest box has it.

    On the finest level the cell nearest to a box's centre always answers, however small the box.
    """
    if not any(targets.counts):
        none = torch.zeros(0, dtype=torch.long)
        return Cells(none, none, none)
    reach = targets.boxes[:, None, :, 2:] * _MIDDLE  # (B, 1, N, 2)
    nearest = torch.where(grid.level[None, :, None] == 0, grid.cell_wh / 2, 0.0)[:, :, None]  # (1, S, 1, 2)
    distance = (grid.centres[:, :, None] - targets.boxes[:, None, :, :2]).abs()  # (B, S, N, 2)
    inside = (distance <= torch.maximum(reach, nearest)).all(-1)
    real = torch.tensor([[row < count for row in range(inside.shape[-1])] for count in targets.counts])
    area = targets.boxes[..., 2:].prod(-1)[:, None].masked_fill(~(inside & real[:, None]), torch.inf)  # (B, S, N)
    smallest, owner = area.min(-1)
    image, cell = smallest.isfinite().nonzero(as_tuple=True)
    return Cells(image, cell, owner[image, cell])
