import numpy as np
import pytest

from common.boxes import Boxes
from tests.training.metrics.made import boxes, predictions
from training.metrics.coco import Predictions
from training.metrics.phrases import PhraseLabels, best_first, phrase_recall

# "two men and a dog": phrase 0 has two boxes, phrase 1 one
MEN, DOG = boxes([0, 0, 10, 10], [30, 0, 40, 10]), boxes([0, 50, 10, 60])
CAPTION = PhraseLabels((MEN, DOG))


def test_perfect_predictions_score_one() -> None:
    found = [predictions([0, 0, 10, 10], [0, 50, 10, 60], classes=[0, 1])]
    assert phrase_recall([CAPTION], found).metrics == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0}


def test_any_box_of_a_phrase_will_do_unless_boxes_are_merged() -> None:
    second = predictions([30, 0, 40, 10], [0, 50, 10, 60], classes=[0, 1])
    assert phrase_recall([CAPTION], [second]).metrics["R@1"] == 1.0
    # merged: the men are one box of 40 x 10; the second man alone overlaps it by 100 / 400
    assert phrase_recall([CAPTION], [second], merged=True).metrics["R@1"] == 0.5
    around = predictions([0, 0, 40, 10], [0, 50, 10, 60], classes=[0, 1])
    assert phrase_recall([CAPTION], [around], merged=True).metrics["R@1"] == 1.0
    assert phrase_recall([CAPTION], [around]).metrics["R@1"] == 0.5


def test_the_rank_of_the_first_right_box_decides() -> None:
    # the dog is right at place 2 of its own boxes: the men's boxes, though better, take no place
    found = predictions([0, 0, 10, 10], [90, 90, 99, 99], [0, 50, 10, 60], classes=[0, 1, 1], scores=[0.9, 0.8, 0.7])
    assert phrase_recall([CAPTION], [found]).metrics == {"R@1": 0.5, "R@5": 1.0, "R@10": 1.0}


def test_the_sixth_and_the_eleventh_box_come_too_late() -> None:
    wrong = [[90.0, 90, 99, 99]]
    for before, expected in ((5, (0.0, 0.0, 1.0)), (10, (0.0, 0.0, 0.0))):
        found = predictions(*wrong * before, [0, 50, 10, 60], scores=[0.9] * before + [0.1])
        assert tuple(phrase_recall([PhraseLabels((DOG,))], [found]).metrics.values()) == expected


def test_a_phrase_without_predictions_is_missed() -> None:
    assert phrase_recall([CAPTION], [predictions([0, 0, 10, 10])]).metrics["R@10"] == 0.5
    assert phrase_recall([CAPTION], [predictions()]).metrics["R@10"] == 0.0


def test_a_phrase_without_a_box_is_not_scored() -> None:
    caption = PhraseLabels((MEN, boxes()), types=(("people",), ("scene",)))
    found = phrase_recall([caption], [predictions([0, 0, 10, 10])])
    assert found.metrics["R@1"] == 1.0
    assert set(found.per_category) == {"people"}


def test_each_type_has_its_own_recall() -> None:
    caption = PhraseLabels((MEN, DOG), types=(("people",), ("animals", "other")))
    found = phrase_recall([caption], [predictions([0, 0, 10, 10])])
    assert found.per_category["people"] == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0, "phrases": 1}
    assert found.per_category["animals"] == found.per_category["other"]
    assert found.per_category["other"]["R@10"] == 0.0


def test_an_overlap_of_exactly_one_half_counts() -> None:
    # 10 x 10 against 10 x 20 on top of it: 100 / 200
    for bottom, expected in ((70, 1.0), (70.1, 0.0)):
        found = [predictions([0, 50, 10, bottom])]
        assert phrase_recall([PhraseLabels((DOG,))], found).metrics["R@1"] == expected


def test_of_boxes_with_one_score_the_earlier_is_the_better() -> None:
    tied = [predictions([90, 90, 99, 99], [0, 50, 10, 60], scores=[0.5, 0.5])]
    assert phrase_recall([PhraseLabels((DOG,))], tied).metrics["R@1"] == 0.0
    assert phrase_recall([PhraseLabels((DOG,))], [turned(tied[0])]).metrics["R@1"] == 1.0


def test_the_order_of_captions_phrases_and_boxes_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    captions = [PhraseLabels(tuple(some_boxes(rng) for _ in range(3))) for _ in range(6)]
    found = [
        predictions(*some_boxes(rng, 30).tolist(), classes=[0, 1, 2] * 10, scores=rng.random(30).tolist())
        for _ in captions
    ]
    before = phrase_recall(captions, found).metrics
    assert 0 < (before["R@1"] or 0) < 1
    moved = [PhraseLabels(caption.boxes_xyxy[::-1]) for caption in captions[::-1]]
    changed = [Predictions(part.boxes_xyxy[::-1], 2 - part.classes[::-1], part.scores[::-1]) for part in found[::-1]]
    assert phrase_recall(moved, changed).metrics == before


def test_nothing_to_score_is_no_number() -> None:
    assert phrase_recall([], []).metrics == {"R@1": None, "R@5": None, "R@10": None}
    assert phrase_recall([PhraseLabels(())], [predictions()]).metrics["R@1"] is None


def test_lists_of_unlike_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 captions have labels but 0 have predictions"):
        phrase_recall([CAPTION], [])


def test_boxes_come_best_first() -> None:
    found = predictions([0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3], scores=[0.1, 0.9, 0.5])
    assert best_first(found)[:, 2].tolist() == [2, 3, 1]
    assert best_first(found, np.array([True, False, True]))[:, 2].tolist() == [3, 1]


def turned(found: Predictions) -> Predictions:
    return Predictions(found.boxes_xyxy[::-1], found.classes[::-1], found.scores[::-1])


def some_boxes(rng: np.random.Generator, count: int = 2) -> Boxes:
    corner = rng.uniform(0, 15, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(10, 20, (count, 2))], 1).astype(np.float32)
