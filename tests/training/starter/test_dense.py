"""Which cells answer for a thing in stage A."""

import torch

from training.starter.dense import middle_cells
from training.starter.forward import grid_of
from training.targets import Targets, pad_targets


def cells(*boxes: list[float]) -> set[tuple[int, int]]:
    """(cell, target) of one image with levels of 4 x 4 and 2 x 2 cells."""
    positive_map = torch.ones(len(boxes), 1, dtype=torch.bool)
    targets = Targets(torch.tensor(boxes).reshape(-1, 4), positive_map)
    found = middle_cells(grid_of(((4, 4), (2, 2))), pad_targets([targets], torch.ones(1, 1, dtype=torch.bool)))
    return set(zip(found.cell.tolist(), found.target.tolist(), strict=True))


def test_cells_in_the_central_half_of_a_box_answer() -> None:
    # The central half of a full-size box spans 0.25 to 0.75: centres at 0.375 and 0.625 of the fine level, rows and
    # columns 1 and 2, and the coarse level's centres at 0.25 and 0.75 on its edge.
    assert cells([0.5, 0.5, 1.0, 1.0]) == {(5, 0), (6, 0), (9, 0), (10, 0), (16, 0), (17, 0), (18, 0), (19, 0)}


def test_a_tiny_box_still_has_the_cell_it_lies_in() -> None:
    assert cells([0.6, 0.1, 0.01, 0.01]) == {(2, 0)}


def test_the_smaller_of_two_boxes_has_the_shared_cell() -> None:
    shared = cells([0.5, 0.5, 1.0, 1.0], [0.375, 0.375, 0.2, 0.2])
    assert (5, 1) in shared
    assert (5, 0) not in shared
    assert (10, 0) in shared


def test_without_boxes_no_cell_answers() -> None:
    assert cells() == set()
