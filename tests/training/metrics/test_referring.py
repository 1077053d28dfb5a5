import numpy as np
import pytest

from tests.training.metrics.made import boxes, predictions
from training.metrics.coco import Predictions
from training.metrics.referring import generalized_referring, matched_pairs, referring_precision

LEFT, RIGHT, OFF = [0.0, 0, 10, 10], [50.0, 0, 60, 10], [200.0, 200, 210, 210]


def test_perfect_answers_score_one() -> None:
    found = [predictions(LEFT), predictions(RIGHT)]
    assert referring_precision([boxes(LEFT), boxes(RIGHT)], found).metrics == {"P@1": 1.0, "P@5": 1.0, "P@10": 1.0}


def test_the_rank_of_the_first_right_box_decides() -> None:
    found = [predictions(OFF, LEFT, scores=[0.2, 0.1])]
    assert referring_precision([boxes(LEFT)], found).metrics == {"P@1": 0.0, "P@5": 1.0, "P@10": 1.0}
    found = [predictions(*[OFF] * 9, LEFT, scores=[0.9] * 9 + [0.1])]  # tenth
    assert referring_precision([boxes(LEFT)], found).metrics == {"P@1": 0.0, "P@5": 0.0, "P@10": 1.0}


def test_each_split_has_its_own_numbers() -> None:
    found = referring_precision(
        [boxes(LEFT), boxes(LEFT), boxes(RIGHT)],
        [predictions(LEFT), predictions(RIGHT), predictions(RIGHT)],
        ["refcoco testA", "refcoco testA", "refcoco testB"],
    )
    assert found.per_category["refcoco testA"] == {"P@1": 0.5, "P@5": 0.5, "P@10": 0.5, "expressions": 2}
    assert found.per_category["refcoco testB"]["P@1"] == 1.0
    assert found.metrics["P@1"] == pytest.approx(2 / 3)
    assert found.images == 3


def test_an_overlap_of_exactly_one_half_counts() -> None:
    assert referring_precision([boxes(LEFT)], [predictions([0, 0, 10, 20])]).metrics["P@1"] == 1.0
    assert referring_precision([boxes(LEFT)], [predictions([0, 0, 10, 20.01])]).metrics["P@1"] == 0.0


def test_no_answer_is_a_miss_and_no_expression_no_number() -> None:
    assert referring_precision([boxes(LEFT)], [predictions()]).metrics["P@10"] == 0.0
    assert set(referring_precision([], []).metrics.values()) == {None}


def test_an_expression_that_means_several_or_none_is_refused() -> None:
    for target in (boxes(), boxes(LEFT, RIGHT)):
        with pytest.raises(ValueError, match="objects, not one: score it with generalized_referring"):
            referring_precision([target], [predictions(LEFT)])


def test_the_order_of_expressions_and_boxes_changes_nothing() -> None:
    targets = [boxes(LEFT), boxes(RIGHT), boxes(OFF)]
    found = [predictions(LEFT, OFF, scores=[0.3, 0.2]), predictions(OFF, RIGHT, scores=[0.9, 0.8]), predictions(LEFT)]
    before = referring_precision(targets, found).metrics
    assert referring_precision(targets[::-1], [turned(part) for part in found[::-1]]).metrics == before
    before = generalized_referring(targets, found, threshold=0.1).metrics
    assert generalized_referring(targets[::-1], [turned(p) for p in found[::-1]], threshold=0.1).metrics == before


def test_lists_of_unlike_lengths_are_refused() -> None:
    refused = pytest.raises(ValueError, match="1 expressions have targets but 0 have")
    with refused:
        referring_precision([boxes(LEFT)], [])
    with refused:
        referring_precision([boxes(LEFT)], [predictions(LEFT)], [])
    with refused:
        generalized_referring([boxes(LEFT)], [])


def test_perfect_answers_to_several_one_and_no_target_score_one() -> None:
    targets = [boxes(LEFT, RIGHT), boxes(LEFT), boxes()]
    found = [predictions(RIGHT, LEFT), predictions(LEFT), predictions(OFF, scores=[0.1])]
    assert generalized_referring(targets, found).metrics == {
        "P@F1": 1.0,
        "N-acc": 1.0,
        "T-acc": 1.0,
        "threshold": 0.7,
    }


def test_one_box_too_many_or_too_few_is_wrong() -> None:
    targets = [boxes(LEFT, RIGHT)] * 4
    found = [
        predictions(LEFT),  # F1 = 2 / 3
        predictions(LEFT, RIGHT, OFF),  # F1 = 4 / 5
        predictions(LEFT, LEFT),  # one to one: the second has no partner left, F1 = 2 / 4
        predictions(LEFT, RIGHT),
    ]
    assert generalized_referring(targets, found).metrics["P@F1"] == 0.25


def test_an_empty_answer_is_right_only_where_nothing_is_meant() -> None:
    found = generalized_referring(
        [boxes(), boxes(), boxes(), boxes(LEFT)], [predictions(), predictions(LEFT), predictions(), predictions()]
    ).metrics
    assert found["N-acc"] == pytest.approx(2 / 3)
    assert found["T-acc"] == 0.0  # the one with a target was left without answer
    assert found["P@F1"] == 0.5


def test_the_threshold_moves_the_numbers_and_keeps_its_own_score() -> None:
    found = generalized_referring([boxes(LEFT), boxes()], [predictions(LEFT, scores=[0.7])] * 2, sweep=(0.6, 0.7, 0.75))
    assert found.metrics["P@F1"] == 0.5  # a score of 0.7 is an answer at 0.7
    assert [row["N-acc"] for row in found.per_category.values()] == [0.0, 0.0, 1.0]
    assert [row["T-acc"] for row in found.per_category.values()] == [1.0, 1.0, 0.0]
    assert list(found.per_category) == ["0.6", "0.7", "0.75"]


def test_nothing_without_target_leaves_its_number_unknown() -> None:
    assert generalized_referring([boxes(LEFT)], [predictions(LEFT)]).metrics["N-acc"] is None
    assert generalized_referring([], []).metrics["P@F1"] is None


def test_the_pair_that_overlaps_most_is_matched_first() -> None:
    # 0.9 takes the first column, so 0.8 is gone and 0.3 is too little
    overlaps = np.array([[0.9, 0.3], [0.8, 0.3]], np.float32)
    assert matched_pairs(overlaps, 0.5) == 1
    assert matched_pairs(overlaps, 0.3) == 2
    assert matched_pairs(np.zeros((0, 3), np.float32), 0.5) == 0
    assert matched_pairs(np.array([[0.5]], np.float32), 0.5) == 1


def turned(found: Predictions) -> Predictions:
    return Predictions(found.boxes_xyxy[::-1], found.classes[::-1], found.scores[::-1])
