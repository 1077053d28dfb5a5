"""The loss that tells one name of a prompt from another."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from engine.network.grid import CellGrid
from training.criterion import CriterionConfig
from training.dense import DenseOutputs
from training.layer_outputs import LayerOutputs
from training.starter.naming import dense_naming_loss, naming_losses, phrase_losses, pointing_losses
from training.targets import Targets, pad_targets

# [CLS] dog . red apple . [SEP]
NAMES = torch.tensor([[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0]], dtype=torch.bool)


def loss_of(logits: list[float], unnamed: Sequence[Sequence[float]] = ()) -> float:
    """One query that fits one red apple, said by three supervised layers."""
    box = torch.tensor([[[0.5, 0.5, 0.2, 0.2]]])
    scores: Tensor = torch.tensor([[logits]])
    layers = LayerOutputs([scores, scores], [box, box], scores, box)
    targets = pad_targets([Targets(box[0], NAMES[1:])], torch.ones(1, 7, dtype=torch.bool))
    others = [torch.tensor(list(unnamed)).reshape(-1, 4)]
    return naming_losses(layers, targets, others, NAMES, CriterionConfig()).item()


def test_names_that_score_alike_cost_the_logarithm_of_their_number() -> None:
    assert loss_of([0.0] * 7) == pytest.approx(3 * math.log(3), abs=1e-5)  # two names and none of them


def test_a_name_counts_by_the_mean_of_its_tokens() -> None:
    # "red" alone at 2 gives "red apple" 1, "dog" and none 0: log(1 + 2 e^-1) a layer.
    assert loss_of([0, 0, 0, 2.0, 0, 0, 0]) == pytest.approx(3 * math.log(1 + 2 * math.exp(-1)), abs=1e-5)


def test_the_right_name_costs_little_and_a_wrong_one_much() -> None:
    assert loss_of([0, 0, 0, 9.0, 9.0, 0, 0]) < 0.01
    assert loss_of([0, 9.0, 0, 0, 0, 0, 0]) > 20


def test_a_box_that_fits_badly_is_taught_as_much_doubt() -> None:
    """Half of the thing is covered: the loss is least where the name has even odds against none of them."""
    box = torch.tensor([[[0.45, 0.5, 0.1, 0.2]]])
    targets = pad_targets(
        [Targets(torch.tensor([[0.5, 0.5, 0.2, 0.2]]), NAMES[1:])], torch.ones(1, 7, dtype=torch.bool)
    )
    slopes = []
    for logit in (-1.0, 0.0, 1.0):
        scores = torch.tensor([[[0, -20.0, 0, logit, logit, 0, 0]]], requires_grad=True)
        layers = LayerOutputs([scores], [box], scores, box)
        settings = CriterionConfig(iou_aware=True, iou_power=1.0)
        torch.autograd.backward(naming_losses(layers, targets, [torch.zeros(0, 4)], NAMES, settings))
        assert scores.grad is not None
        slopes.append(scores.grad[0, 0, 3].item())
    assert slopes[0] < -0.1 and slopes[1] == pytest.approx(0, abs=1e-5) and slopes[2] > 0.1


def nothing_loss(logits: list[float], unnamed: list[float]) -> float:
    """What a query costs that lies on something else than the red apple, in one layer beside the encoder's."""
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.2, 0.2]]])
    right = [0.0, 0, 0, 20, 20, 0, 0]
    scores = torch.tensor([[right, logits]])
    layers = LayerOutputs([scores], [boxes], scores, boxes)
    targets = pad_targets([Targets(boxes[0, :1], NAMES[1:])], torch.ones(1, 7, dtype=torch.bool))
    return naming_losses(layers, targets, [torch.tensor([unnamed])], NAMES, CriterionConfig()).item()


def test_a_query_on_a_thing_that_nobody_named_says_no_name() -> None:
    there = [0.2, 0.2, 0.2, 0.18]
    assert nothing_loss([0.0] * 7, there) == pytest.approx(2 * math.log(3), abs=1e-5)
    assert nothing_loss([-9.0] * 7, there) < 0.01
    assert nothing_loss([0, 9.0, 0, 0, 0, 0, 0], there) > 10


def test_a_picture_with_fewer_things_than_others_has_none_in_its_middle() -> None:
    """The second picture shows one large thing, which nobody named; rows that pad its targets are no thing."""
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2]], [[0.5, 0.5, 0.6, 0.5]]])
    scores = torch.tensor([[[0.0, 0, 0, 20, 20, 0, 0]], [[0, 9.0, 0, 0, 0, 0, 0]]])
    layers = LayerOutputs([scores], [boxes], scores, boxes)
    told = [Targets(boxes[0], NAMES[1:]), Targets(torch.zeros(0, 4), torch.zeros(0, 7, dtype=torch.bool))]
    targets = pad_targets(told, torch.ones(2, 7, dtype=torch.bool))
    loss = naming_losses(layers, targets, [torch.zeros(0, 4), boxes[1]], NAMES, CriterionConfig())
    assert loss.item() > 10


def test_a_query_on_nothing_or_on_a_named_thing_may_say_what_it_likes() -> None:
    assert nothing_loss([0, 9.0, 0, 0, 0, 0, 0], [0.8, 0.8, 0.1, 0.1]) < 0.01
    assert loss_of([0, 0, 0, 9.0, 9.0, 0, 0], [[0.5, 0.5, 0.2, 0.2]]) < 0.01


def test_a_cell_that_answers_for_a_thing_names_it_too() -> None:
    grid = CellGrid(torch.tensor([[[0.5, 0.5], [0.9, 0.9]]]), torch.full((1, 2, 2), 0.1), torch.zeros(2).long())
    logits = torch.tensor([[[0, 0, 0, 2.0, 0, 0, 0], [0, 9.0, 0, 0, 0, 0, 0]]])
    targets = pad_targets(
        [Targets(torch.tensor([[0.5, 0.5, 0.2, 0.2]]), NAMES[1:])], torch.ones(1, 7, dtype=torch.bool)
    )
    loss = dense_naming_loss(DenseOutputs(logits, torch.full((1, 2, 4), 0.5), grid), targets, NAMES)
    assert loss.item() == pytest.approx(math.log(1 + 2 * math.exp(-1)), abs=1e-5)


def test_the_phrases_of_a_sentence_are_set_against_each_other() -> None:
    """One image is told "dog ... red apple" of its red apple; the other has no text that means anything."""
    box = torch.tensor([[[0.5, 0.5, 0.2, 0.2]]]).expand(2, 1, 4)
    scores = torch.tensor([[[0, 0, 0, 2.0, 0, 0, 0]], [[9.0] * 7]])
    layers = LayerOutputs([scores], [box], scores, box)
    told = [Targets(box[0], NAMES[1:]), Targets(torch.zeros(0, 4), torch.zeros(0, 7, dtype=torch.bool))]
    targets = pad_targets(told, torch.ones(2, 7, dtype=torch.bool))
    loss = phrase_losses(layers, targets, [NAMES, NAMES[:0]], CriterionConfig())
    assert loss.item() == pytest.approx(2 * math.log(1 + 2 * math.exp(-1)), abs=1e-5)


def pointing_loss(scores: list[float], boxes: int = 1) -> float:
    """Two queries, at the thing that is meant and at another; "the red apple" has its score in all three words."""
    places = torch.tensor([[[0.3, 0.5, 0.2, 0.2], [0.7, 0.5, 0.2, 0.2]]])
    words = torch.tensor([0, 1, 1, 1, 0, 0], dtype=torch.bool)
    logits = torch.tensor(scores)[None, :, None] * words.float()
    layers = LayerOutputs([logits], [places], logits, places)
    targets = pad_targets([Targets(places[0, :boxes], words.repeat(boxes, 1))], torch.ones(1, 6, dtype=torch.bool))
    return pointing_losses(layers, targets, CriterionConfig()).item()


def test_a_text_that_means_one_thing_sets_it_against_the_others() -> None:
    assert pointing_loss([1.0, 1.0]) == pytest.approx(2 * math.log(2), abs=1e-5)
    assert pointing_loss([9.0, 0.0]) < 0.01
    assert pointing_loss([0.0, 9.0]) > 10


def test_a_text_that_means_several_things_or_none_points_at_nothing() -> None:
    assert pointing_loss([0.0, 9.0], boxes=2) == 0
    assert pointing_loss([0.0, 9.0], boxes=0) == 0
