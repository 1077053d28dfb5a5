"""What cells are taught about the sides of the thing that they lie in."""

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.network.grid import Grid, grid_of
from engine.network.network import Image
from training.criterion import CriterionConfig
from training.starter.model import build_starter, starter_config
from training.starter.sides import SideReader, side_losses
from training.starter.tokenizer import build_tokenizer

WIDTH = 32
GRID = grid_of(((8, 8), (4, 4)))
CONFIG = CriterionConfig(loss_l1=5.0, loss_giou=2.0)


@pytest.fixture(scope="module")
def model() -> Any:
    return build_starter(starter_config(len(build_tokenizer()), width=WIDTH, queries=20))


def encoded(cells: Tensor) -> Image:
    return Image(cells, torch.zeros(1), GRID)


def boxes(*rows: list[float]) -> Tensor:
    return torch.tensor(rows).reshape(-1, 4)


def distances(grid: Grid, box: list[float]) -> Tensor:
    """(S, 4) of each cell's centre from the left, top, right and bottom side."""
    x, y, w, h = box
    centre_x, centre_y = grid.centres[0].unbind(-1)
    return torch.stack([centre_x - x + w / 2, centre_y - y + h / 2, x + w / 2 - centre_x, y + h / 2 - centre_y], -1)


def reads_channels() -> SideReader:
    """Says what the first four channels of a cell hold."""
    reader = SideReader(WIDTH)
    with torch.no_grad():
        reader.weight[:, :4] = torch.eye(4)
    return reader


def test_who_reads_nothing_is_off_by_width_and_height_and_large_things_count_no_more(model: Any) -> None:
    # Whatever cell is asked, left and right add up to the width, top and bottom to the height.
    things = [boxes([0.5, 0.5, 0.9, 0.8], [0.1, 0.1, 0.1, 0.15]), boxes([0.3, 0.6, 0.4, 0.2])]
    terms = side_losses(model, SideReader(WIDTH), encoded(torch.randn(2, 80, WIDTH)), things, CONFIG)
    assert terms.keys() == {"l1_cells", "giou_cells", "sides"}
    assert terms["sides"].item() == pytest.approx(5.0 * (1.7 + 0.25 + 0.6) / 3, rel=1e-5)


def test_what_cells_say_of_their_own_thing_is_right_at_no_cost(model: Any) -> None:
    box = [0.45, 0.55, 0.6, 0.5]
    cells = torch.randn(1, 80, WIDTH)
    cells[0, :, :4] = distances(GRID, box)
    terms = side_losses(model, reads_channels(), encoded(cells), [boxes(box)], CONFIG)
    assert terms["sides"].item() == pytest.approx(0, abs=1e-5)


def test_each_level_has_the_same_say(model: Any) -> None:
    box = [0.5, 0.5, 0.8, 0.8]
    cells = torch.zeros(1, 80, WIDTH)
    cells[0, :64, :4] = distances(GRID, box)[:64]  # the finer of two levels is right, the coarser one says 0
    terms = side_losses(model, reads_channels(), encoded(cells), [boxes(box)], CONFIG)
    assert terms["sides"].item() == pytest.approx(5.0 * 1.6 / 2, rel=1e-5)


def test_cells_outside_of_all_things_are_asked_nothing(model: Any) -> None:
    cells = torch.randn(1, 80, WIDTH, requires_grad=True)
    terms = side_losses(model, reads_channels(), encoded(cells), [boxes([0.25, 0.25, 0.3, 0.3])], CONFIG)
    torch.autograd.backward(torch.stack(list(terms.values())).sum())
    assert cells.grad is not None
    asked = cells.grad[0].abs().sum(-1) > 0
    outside = (GRID.centres[0] > 0.4).any(-1)
    assert asked.any()
    assert not asked[outside].any()


def test_the_proposal_head_learns_from_it_and_nothing_behind_it(model: Any) -> None:
    model.zero_grad()
    terms = side_losses(
        model, SideReader(WIDTH), encoded(torch.randn(1, 80, WIDTH)), [boxes([0.5, 0.5, 0.5, 0.5])], CONFIG
    )
    torch.autograd.backward(terms["l1_cells"] + terms["giou_cells"])
    taught = [name for name, value in model.named_parameters() if value.grad is not None]
    learns = {name.removeprefix("model.").split(".")[0] for name in taught}
    assert learns == {"enc_output", "enc_output_norm", "encoder_output_bbox_embed"}


def test_without_things_there_is_nothing_to_learn(model: Any) -> None:
    terms = side_losses(model, SideReader(WIDTH), encoded(torch.randn(2, 80, WIDTH)), [boxes(), boxes()], CONFIG)
    assert [value.item() for value in terms.values()] == [0, 0, 0]
