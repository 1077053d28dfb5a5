"""A detector that samples by the engine's ways learns what it would learn by transformers' own."""

import copy

import pytest
import torch
from torch import Tensor

from tests.training.test_student import MIXED
from tests.training.tiny_detectors import tiny_detector
from training.sampling import sample_by_engine


@pytest.mark.parametrize("kind", ["mm", "original"])
def test_answers_and_gradients_are_those_of_transformers(kind: str) -> None:
    usual = tiny_detector(kind).eval()
    ours = copy.deepcopy(usual)
    sample_by_engine(ours)
    names = {type(module).__name__ for module in ours.modules()}
    assert "_EngineSampling" in names and "MultiScaleDeformableAttention" not in names
    assert list(ours.state_dict()) == list(usual.state_dict())
    told = []
    for model in (usual, ours):
        outputs = model(MIXED.pixel_values, MIXED.input_ids, pixel_mask=MIXED.pixel_mask)
        loss: Tensor = outputs.pred_boxes.square().sum() + outputs.logits.sigmoid().sum()
        torch.autograd.backward(loss)
        gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
        told.append((outputs.pred_boxes, outputs.logits.sigmoid(), gradients))
    for mine, theirs in zip(told[1][:2], told[0][:2], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    assert told[1][2].keys() == told[0][2].keys()
    for name, gradient in told[0][2].items():
        torch.testing.assert_close(told[1][2][name], gradient, rtol=1e-3, atol=1e-4, msg=name)
