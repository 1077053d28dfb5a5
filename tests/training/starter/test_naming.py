"""The loss that tells one name of a prompt from another."""

import math

import pytest
import torch
from torch import Tensor

from training.criterion import CriterionConfig
from training.layer_outputs import LayerOutputs
from training.starter.naming import naming_losses
from training.targets import Targets, pad_targets

# [CLS] dog . red apple . [SEP]
NAMES = torch.tensor([[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0]], dtype=torch.bool)


def loss_of(logits: list[float]) -> float:
    """One query that fits one red apple, said by three supervised layers."""
    box = torch.tensor([[[0.5, 0.5, 0.2, 0.2]]])
    scores: Tensor = torch.tensor([[logits]])
    layers = LayerOutputs([scores, scores], [box, box], scores, box)
    targets = pad_targets([Targets(box[0], NAMES[1:])], torch.ones(1, 7, dtype=torch.bool))
    return naming_losses(layers, targets, NAMES, CriterionConfig()).item()


def test_names_that_score_alike_cost_the_logarithm_of_their_number() -> None:
    assert loss_of([0.0] * 7) == pytest.approx(3 * math.log(2), abs=1e-5)


def test_a_name_counts_by_the_mean_of_its_tokens() -> None:
    # "red" alone at 2 gives "red apple" 1 and "dog" 0: log(1 + e^-1) a layer.
    assert loss_of([0, 0, 0, 2.0, 0, 0, 0]) == pytest.approx(3 * math.log(1 + math.exp(-1)), abs=1e-5)


def test_the_right_name_costs_little_and_a_wrong_one_much() -> None:
    assert loss_of([0, 0, 0, 9.0, 9.0, 0, 0]) < 0.01
    assert loss_of([0, 9.0, 0, 0, 0, 0, 0]) > 20
