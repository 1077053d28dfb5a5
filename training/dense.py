"""The loss of a dense stage: every cell in the middle of a thing answers for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.network.grid import CellGrid
from training.criterion import CriterionConfig, iou_aware_loss
from training.matcher import giou
from training.targets import PaddedTargets

_MIDDLE = 0.25  # of a box's width and height to each side of its centre
_TOGETHER = 128  # boxes held against all cells at once, a bound on memory


@dataclass(frozen=True)
class DenseOutputs:
    """What the proposal head says of every cell.

    Attributes:
        logits: (B, S, T).
        boxes: (B, S, 4) cxcywh in [0, 1].
        grid: where the cells lie.
        allowed: (B, S) bool, false for cells that can't become a proposal; None: all can.
    """

    logits: Tensor
    boxes: Tensor
    grid: CellGrid
    allowed: Tensor | None = None


@dataclass(frozen=True)
class Cells:
    """Which cell of which image answers for which labelled box; three index tensors (M,)."""

    image: Tensor
    cell: Tensor
    target: Tensor


def dense_loss(
    outputs: DenseOutputs, targets: PaddedTargets, config: CriterionConfig, divisor: int | Tensor | None = None
) -> dict[str, Tensor]:
    """Weighted "class", "l1" and "giou" terms.

    A one-to-one match gives a detector that starts from nothing too few examples: alone it learns nothing in the time
    in which this loss teaches the backbone, the text and the proposal head.

    Args:
        outputs: for B images.
        targets: of the same images.
        config: weights of the terms.
        divisor: of each term; None: the number of answering cells.
    """
    cells = middle_cells(outputs.grid, targets, outputs.allowed)
    boxes = outputs.boxes[cells.image, cells.cell].float()
    wanted = targets.boxes[cells.image, cells.target]
    generalised, iou = giou(boxes, wanted)
    logits = outputs.logits.float().masked_fill(~targets.judged[:, None], 0.0)
    positive = torch.zeros_like(logits)
    positive[cells.image, cells.cell] = targets.positive_map[cells.image, cells.target]
    quality = torch.zeros_like(logits[..., :1])
    quality[cells.image, cells.cell] = iou.detach().clamp(min=0)[:, None]
    classes = iou_aware_loss(logits, positive, quality**config.iou_power, config.alpha, config.gamma)
    classes = classes * targets.judged[:, None]
    if outputs.allowed is not None:
        classes = classes * outputs.allowed[..., None]
    count = max(len(cells.image), 1) if divisor is None else divisor
    return {
        "class": config.loss_class * classes.sum() / count,
        "l1": config.loss_l1 * (boxes - wanted).abs().sum() / count,
        "giou": config.loss_giou * (1 - generalised).sum() / count,
    }


@torch.no_grad()
def middle_cells(
    grid: CellGrid, targets: PaddedTargets, allowed: Tensor | None = None, reach: float = _MIDDLE
) -> Cells:
    """Cells whose centre lies in the central half of a box; where several claim one, the smallest box has it.

    On the finest level the cell nearest to a box's centre always answers, however small the box.

    Args:
        grid: where cells lie.
        targets: whose boxes claim them.
        allowed: (B, S) bool, which cells may answer; None: all.
        reach: part of a box's width and height to each side of its centre that it claims.
    """
    images, most = targets.boxes.shape[:2]
    device = targets.boxes.device
    real = targets.real
    smallest = torch.full((images, grid.centres.shape[1]), torch.inf, device=device)  # (B, S)
    owner = torch.zeros_like(smallest, dtype=torch.long)
    for start in range(0, most, _TOGETHER):
        here = slice(start, start + _TOGETHER)
        area, row = _claimed(grid, targets.boxes[:, here], real[:, here], reach).min(-1)
        owner = torch.where(area < smallest, row + start, owner)
        smallest = torch.minimum(smallest, area)
    answers = smallest.isfinite() if allowed is None else smallest.isfinite() & allowed
    image, cell = answers.nonzero(as_tuple=True)
    return Cells(image, cell, owner[image, cell])


def _claimed(grid: CellGrid, boxes: Tensor, real: Tensor, reach: float) -> Tensor:
    """(B, S, N) the area of each box at the cells it claims, infinite at others."""
    claim = boxes[:, None, :, 2:] * reach  # (B, 1, N, 2)
    nearest = torch.where(grid.level[None, :, None] == 0, grid.cell_wh / 2, 0.0)[:, :, None]  # (B, S, 1, 2)
    distance = (grid.centres[:, :, None] - boxes[:, None, :, :2]).abs()  # (B, S, N, 2)
    inside = (distance <= torch.maximum(claim, nearest)).all(-1) & real[:, None]
    return boxes[..., 2:].prod(-1)[:, None].masked_fill(~inside, torch.inf)


@contextmanager
def seen_cells(decoder: Any) -> Iterator[list[tuple[CellGrid, Tensor]]]:
    """Within it, a forward pass leaves in the list where the cells of its pictures lie, and which hold a picture.

    transformers keeps this between its encoder and its `decoder` and returns nothing of it.
    """
    seen: list[tuple[CellGrid, Tensor]] = []

    def look(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        grid = _grid(kwargs["spatial_shapes_list"], kwargs["valid_ratios"].float())
        seen.append((grid, kwargs["vision_encoder_attention_mask"].bool()))

    hook = decoder.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield seen
    finally:
        hook.remove()


def _grid(shapes: list[tuple[int, int]], valid_ratios: Tensor) -> CellGrid:
    """Of padded pictures; `valid_ratios` is (B, L, 2), the part of each level's width and height that is picture."""
    centres, sizes, levels = [], [], []
    device = valid_ratios.device
    for level, (height, width) in enumerate(shapes):
        y, x = torch.meshgrid(
            torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
        )
        cell = 1 / (valid_ratios[:, level] * valid_ratios.new_tensor([width, height]))  # (B, 2)
        centres.append(torch.stack([x, y], -1).reshape(-1, 2) * cell[:, None])  # (B, height * width, 2)
        sizes.append(cell[:, None].expand(-1, height * width, -1))
        levels.append(torch.full((height * width,), level, device=device))
    return CellGrid(torch.cat(centres, 1), torch.cat(sizes, 1), torch.cat(levels))
