"""Answers to the shipped examples, right ones and wrong ones."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from engine.detector import Detector
from tests.training.worlds.saying import Says
from training.worlds.verdicts import Verdict, judged

EXAMPLES = Path(__file__).parents[3] / "app" / "examples" / "examples.json"
ROWS: list[dict[str, Any]] = json.loads(EXAMPLES.read_text(encoding="utf-8"))["images"]


def verdict(row: dict[str, Any], answers: Sequence[tuple[str, Sequence[float], float]]) -> Verdict:
    return judged(cast(Detector, Says(answers)), np.zeros((48, 64, 3), np.uint8), row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["title"]))
def test_only_all_boxes_and_no_other_are_a_right_answer(row: dict[str, Any]) -> None:
    right = [(each["name"], each["xyxy"], 0.9 - 0.1 * place) for place, each in enumerate(row["answers"])]
    assert verdict(row, right).is_right
    assert verdict(row, right).least_score == pytest.approx(right[-1][2])
    assert verdict(row, right[1:]).faults == -1
    assert verdict(row, [*right, (right[0][0], [0, 0, 5, 5], 0.9)]).faults == -1
    elsewhere = [(name, [box[0], 0, box[2], 1], sure) for name, box, sure in right]
    assert verdict(row, elsewhere).faults == -2 * len(right)


def test_a_box_under_another_name_is_two_faults() -> None:
    (name, box, sure), *others = [(each["name"], each["xyxy"], 0.9) for each in ROWS[0]["answers"]]
    other = next(one for one, _, _ in others if one != name)
    assert verdict(ROWS[0], [(other, box, sure), *others]).faults == -2


def test_a_right_answer_is_better_than_a_sure_one() -> None:
    assert Verdict(0, 0.4) > Verdict(-1, 0.9) > Verdict(-1, 0.5)
