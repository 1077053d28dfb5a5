"""Which cells answer for a thing in a dense stage."""

import pytest
import torch

from engine.network.grid import grid_of
from tests.training.tiny_detectors import tiny_detector
from training.criterion import CriterionConfig
from training.dense import DenseOutputs, dense_loss, middle_cells, seen_cells
from training.targets import Targets, pad_targets

ONE = torch.ones(1, 1, dtype=torch.bool)


def cells(*boxes: list[float]) -> set[tuple[int, int]]:
    """(cell, target) of one image with levels of 4 x 4 and 2 x 2 cells."""
    positive_map = torch.ones(len(boxes), 1, dtype=torch.bool)
    targets = Targets(torch.tensor(boxes).reshape(-1, 4), positive_map)
    found = middle_cells(grid_of(((4, 4), (2, 2))), pad_targets([targets], ONE))
    return set(zip(found.cell.tolist(), found.target.tolist(), strict=True))


def test_cells_in_the_central_half_of_a_box_answer() -> None:
    # The central half of a full-size box spans 0.25 to 0.75: centres at 0.375 and 0.625 of the fine level, rows and
    # columns 1 and 2, and the coarse level's centres at 0.25 and 0.75 on its edge.
    assert cells([0.5, 0.5, 1.0, 1.0]) == {(5, 0), (6, 0), (9, 0), (10, 0), (16, 0), (17, 0), (18, 0), (19, 0)}


def test_more_of_a_box_may_answer() -> None:
    whole = Targets(torch.tensor([[0.5, 0.5, 1.0, 1.0]]), torch.ones(1, 1, dtype=torch.bool))
    found = middle_cells(grid_of(((4, 4), (2, 2))), pad_targets([whole], ONE), reach=0.5)
    assert len(found.cell) == 20


def test_a_tiny_box_still_has_the_cell_it_lies_in() -> None:
    assert cells([0.6, 0.1, 0.01, 0.01]) == {(2, 0)}


def test_the_smaller_of_two_boxes_has_the_shared_cell() -> None:
    shared = cells([0.5, 0.5, 1.0, 1.0], [0.375, 0.375, 0.2, 0.2])
    assert (5, 1) in shared
    assert (5, 0) not in shared
    assert (10, 0) in shared


def test_among_hundreds_of_boxes_the_smallest_still_has_the_cell() -> None:
    around = [[0.5, 0.5, 1.0 - 0.001 * row, 1.0] for row in range(300)]
    assert (5, 200) in cells(*around[:200], [0.375, 0.375, 0.2, 0.2], *around[200:])
    assert (5, 299) in cells(*around)


def test_without_boxes_no_cell_answers() -> None:
    assert cells() == set()


def test_a_cell_that_can_be_no_proposal_never_answers_and_learns_nothing() -> None:
    targets = pad_targets([Targets(torch.tensor([[0.6, 0.1, 0.01, 0.01]]), torch.ones(1, 1, dtype=torch.bool))], ONE)
    allowed = torch.ones(1, 20, dtype=torch.bool)
    allowed[0, 2] = False
    grid = grid_of(((4, 4), (2, 2)))
    assert len(middle_cells(grid, targets, allowed).cell) == 0
    # Nor is it asked to be nothing: the loss is that of the 19 other cells, divided by 1.
    outputs = DenseOutputs(torch.zeros(1, 20, 1), torch.full((1, 20, 4), 0.5), grid, allowed)
    terms = dense_loss(outputs, targets, CriterionConfig())
    assert terms["class"].item() == pytest.approx(19 * 0.12996, abs=1e-3)
    assert terms["l1"].item() == terms["giou"].item() == 0


def test_the_loss_is_what_was_worked_out_by_hand() -> None:
    # Only cell 2 answers for the tiny box, with a box half as high: IoU 0.5, L1 0.005. At logit 0 its own token costs
    # ln 2 for any target, and each of the other 19 cells 0.75 * 0.5^2 * ln 2.
    targets = pad_targets([Targets(torch.tensor([[0.6, 0.1, 0.01, 0.01]]), torch.ones(1, 1, dtype=torch.bool))], ONE)
    boxes = torch.tensor([0.6, 0.1, 0.01, 0.005]).expand(1, 20, 4)
    outputs = DenseOutputs(torch.zeros(1, 20, 1), boxes, grid_of(((4, 4), (2, 2))))
    terms = dense_loss(outputs, targets, CriterionConfig())
    assert terms["class"].item() == pytest.approx(0.69315 + 19 * 0.12996, abs=1e-3)
    assert terms["l1"].item() == pytest.approx(5 * 0.005)
    assert terms["giou"].item() == pytest.approx(2 * 0.5, abs=1e-5)
    halved = dense_loss(outputs, targets, CriterionConfig(), divisor=2)
    assert halved["class"].item() == pytest.approx(terms["class"].item() / 2)


@pytest.mark.parametrize("kind", ["mm", "original"])
@torch.no_grad()
def test_cells_of_padded_pictures_lie_where_the_detector_has_its_proposals(kind: str) -> None:
    model = tiny_detector(kind)
    last = model.model.encoder_output_bbox_embed.layers[-1]
    last.weight.zero_()
    last.bias.zero_()  # now the proposals are the cells' own boxes
    pixel_mask = torch.zeros(2, 96, 128, dtype=torch.int64)
    pixel_mask[0, :64], pixel_mask[1, :, :96] = 1, 1
    ids = torch.tensor([[101, 7, 1012, 102]] * 2)
    with seen_cells(model.model.decoder) as seen:
        outputs = model.model(
            pixel_values=torch.randn(2, 3, 96, 128), input_ids=ids, pixel_mask=pixel_mask, attention_mask=ids > 0
        )
    ((grid, picture),) = seen
    boxes = outputs.enc_outputs_coord_logits
    allowed = boxes.isfinite().all(-1)
    assert 10 < allowed.sum() <= picture.sum() < picture.numel()
    torch.testing.assert_close(grid.centres[allowed], boxes[allowed].sigmoid()[:, :2])
