"""The one-to-one assignment of predictions to boxes."""

from dataclasses import replace

import pytest
import torch

from training.criterion import CriterionConfig
from training.matcher import behind, giou, match, near

COSTS = CriterionConfig()


def test_giou_of_equal_boxes_is_one() -> None:
    box = torch.tensor([[0.5, 0.5, 0.2, 0.4]])
    generalised, iou = giou(box, box)
    assert generalised.item() == pytest.approx(1.0, abs=1e-5)
    assert iou.item() == pytest.approx(1.0, abs=1e-5)


def test_giou_of_boxes_apart_is_negative() -> None:
    # Two unit squares with one unit of air between them: hull 3, union 2, overlap 0, so 0 - 1/3.
    generalised, iou = giou(torch.tensor([0.5, 0.5, 1.0, 1.0]), torch.tensor([2.5, 0.5, 1.0, 1.0]))
    assert generalised.item() == pytest.approx(-1 / 3)
    assert iou.item() == 0


def test_each_box_takes_the_query_that_fits_its_place_and_name() -> None:
    boxes = torch.tensor([[[0.2, 0.2, 0.1, 0.1], [0.8, 0.8, 0.1, 0.1], [0.8, 0.8, 0.1, 0.1]]])
    logits = torch.full((1, 3, 4), -4.0)
    logits[0, 0, 1] = logits[0, 1, 1] = logits[0, 2, 2] = 4.0  # queries 1 and 2 share a place, not a name
    targets = torch.tensor([[[0.8, 0.8, 0.1, 0.1], [0.2, 0.2, 0.1, 0.1]]])
    positive_map = torch.tensor([[[0.0, 0, 1, 0], [0, 1, 0, 0]]])

    (found,) = match([(logits, boxes)], targets, positive_map, [2], torch.ones(1, 4, dtype=torch.bool), COSTS)

    assert dict(zip(found.target.tolist(), found.query.tolist(), strict=True)) == {0: 2, 1: 0}


def test_padding_rows_are_never_matched() -> None:
    boxes = torch.rand(2, 5, 4)
    targets = torch.rand(2, 3, 4)
    positive_map = torch.ones(2, 3, 2)

    mask = torch.ones(2, 2, dtype=torch.bool)
    (found,) = match([(torch.zeros(2, 5, 2), boxes)], targets, positive_map, [3, 0], mask, COSTS)

    assert found.image.tolist() == [0, 0, 0]
    assert sorted(found.target.tolist()) == [0, 1, 2]


def test_more_boxes_than_queries_leaves_the_dearest_unmatched() -> None:
    targets = torch.tensor([[[0.2, 0.2, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]]])
    (found,) = match(
        [(torch.zeros(1, 1, 1), torch.tensor([[[0.9, 0.9, 0.1, 0.1]]]))],
        targets,
        torch.ones(1, 2, 1),
        [2],
        torch.ones(1, 1, dtype=torch.bool),
        COSTS,
    )
    assert found.target.tolist() == [1]


def test_a_masked_token_has_no_say_in_the_match() -> None:
    logits = torch.zeros(1, 2, 3)
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.21]]])
    targets = torch.tensor([[[0.5, 0.5, 0.2, 0.2]]])
    positive_map = torch.tensor([[[1.0, 0, 0]]])
    mask = torch.tensor([[True, True, False]])
    logits[0, 0, 2] = 9.0  # would make query 0 far too dear

    (found,) = match([(logits, boxes)], targets, positive_map, [1], mask, COSTS)

    assert found.query.tolist() == [0]


def test_a_proposal_on_the_place_of_a_better_one_is_behind_it() -> None:
    first, beside, far = [0.3, 0.3, 0.2, 0.2], [0.32, 0.3, 0.2, 0.2], [0.8, 0.8, 0.2, 0.2]
    target = torch.tensor([[first]])
    assert behind(torch.tensor([[first, far, beside, far]]), target)[0, :, 0].tolist() == [False, False, True, True]
    assert behind(torch.tensor([[beside, first]]), target)[0, :, 0].tolist() == [False, True]


def test_the_best_proposal_on_a_box_is_behind_none_that_is_beside_it() -> None:
    half, whole, thing = [0.3, 0.45, 0.4, 0.5], [0.5, 0.5, 1.0, 1.0], [0.4, 0.5, 0.6, 0.8]
    targets = torch.tensor([[thing]])
    overlaps = giou(torch.tensor([half, whole]), torch.tensor([thing]))[1]
    assert ((overlaps > 0.4) & (overlaps < 0.5)).all()  # on its place, but not on it
    found = behind(torch.tensor([[half, whole, thing, thing]]), targets)
    assert found[0, :, 0].tolist() == [False, False, False, True]


def test_the_better_proposal_answers_where_prices_are_near() -> None:
    target = torch.tensor([[[0.3, 0.3, 0.2, 0.2]]])
    boxes = torch.tensor([[[0.31, 0.3, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]]])
    logits, mask = torch.zeros(1, 3, 1), torch.ones(1, 1, dtype=torch.bool)

    def answering(costs: CriterionConfig, proposals: torch.Tensor | None = boxes) -> list[int]:
        (found,) = match([(logits, boxes)], target, torch.ones(1, 1, 1), [1], mask, costs, proposals)
        return found.query.tolist()

    wanting = replace(COSTS, cost_behind=2.0)
    assert answering(COSTS) == answering(wanting, None) == [1]
    assert answering(wanting) == [0]
    assert answering(wanting, boxes.flip(1)) == [1]  # the better proposal is the other one


def test_a_thing_that_only_second_proposals_lie_on_is_answered_for() -> None:
    one, other = [0.3, 0.3, 0.2, 0.2], [0.36, 0.3, 0.2, 0.2]
    boxes, logits = torch.tensor([[one, other]]), torch.zeros(1, 2, 1)
    targets, names = torch.tensor([[one, other]]), torch.ones(1, 2, 1)
    mask = torch.ones(1, 1, dtype=torch.bool)
    assert behind(boxes, targets).tolist() == [[[False, False], [True, True]]]
    (found,) = match([(logits, boxes)], targets, names, [2], mask, replace(COSTS, cost_behind=2.0), boxes)
    assert dict(zip(found.target.tolist(), found.query.tolist(), strict=True)) == {0: 0, 1: 1}


def test_all_queries_that_began_on_a_box_share_a_weight_of_one() -> None:
    boxes = torch.tensor([[[0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]], [[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.2, 0.2]]])
    on_first, on_second, nowhere = [0.31, 0.3, 0.2, 0.2], [0.7, 0.72, 0.2, 0.2], [0.5, 0.1, 0.1, 0.1]
    on_padding = [0.1, 0.1, 0.2, 0.2]
    proposals = torch.tensor([[on_first, nowhere, on_second, on_first], [on_padding, nowhere, nowhere, on_padding]])
    found, share = near(proposals, boxes, [2, 1])
    assert found.image.tolist() == [0, 0, 0]
    assert found.query.tolist() == [0, 2, 3]
    assert found.target.tolist() == [0, 1, 0]
    assert share.tolist() == [0.5, 1.0, 0.5]


def test_pictures_without_boxes_have_no_query_on_one() -> None:
    found, share = near(torch.rand(2, 3, 4), torch.zeros(2, 0, 4), [0, 0])
    assert len(found.query) == len(share) == 0
