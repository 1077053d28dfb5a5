"""The threshold is found where it is, no lower than is quiet, and moving scores changes no order."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_checkpoint import tiny_model
from training.benchmarks.starter import Answer
from training.metrics.coco import Labels, Predictions
from training.starter.scores import _best, move_scores


def answer(there: int, right: list[float], wrong: list[float]) -> Answer:
    """Things in a row, boxes on the first of them, and boxes where nothing is."""
    boxes = [[100 * k, 0, 100 * k + 50, 50] for k in range(there)]
    found = [*boxes[: len(right)], *([1000 + 100 * k, 0, 1050 + 100 * k, 50] for k in range(len(wrong)))]
    return Answer(
        ("cat",),
        Labels(np.array(boxes, np.float32).reshape(-1, 4), np.zeros(there, np.int64)),
        Predictions(
            np.array(found, np.float32).reshape(-1, 4),
            np.zeros(len(found), np.int64),
            np.array([*right, *wrong], np.float32),
        ),
    )


NAMED = [answer(3, [0.9, 0.8, 0.7], [0.5, 0.4]), answer(1, [0.62], [])]
NOTHING = answer(0, [], [])


def test_the_best_threshold_lies_between_wrong_boxes_and_right_ones() -> None:
    assert 0.5 < _best(NAMED, [NOTHING] * 9) <= 0.62


def test_where_nothing_is_there_few_boxes_are_shown_whatever_it_costs() -> None:
    wrong = answer(0, [], [0.75])
    assert _best(NAMED, [wrong, *[NOTHING] * 19]) <= 0.62  # one picture in twenty may have one
    assert 0.75 < _best(NAMED, [wrong, *[NOTHING] * 9]) <= 0.8
    assert _best(NAMED, [answer(0, [], [0.95])]) == 0.9  # nothing will do: as few as can be


@torch.no_grad()
def test_moved_scores_keep_their_order_and_the_named_one_hits_its_mark() -> None:
    model: Any = tiny_model()
    torch.nn.init.zeros_(model.class_embed[-1].bias)
    inputs = {
        "pixel_values": torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)),
        "input_ids": torch.tensor([[101, 110, 1012, 102]]),
    }
    before = model(**inputs).logits[0, :, 1]
    move_scores(model, 0.7, 0.4)
    after = model(**inputs).logits[0, :, 1]
    torch.testing.assert_close(after - before, (after - before)[:1].expand_as(after), rtol=0, atol=1e-5)
    moved = torch.logit(torch.tensor(0.7)) + (after - before)[0]
    assert float(moved.sigmoid()) == pytest.approx(0.4, abs=1e-4)
