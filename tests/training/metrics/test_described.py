from dataclasses import replace

import numpy as np
import pytest

from tests.training.metrics.made import labels, perfect, predictions, shuffled
from training.metrics.described import Sentence, described_ap

SENTENCES = (
    Sentence("a red hat", absence=False),  # 3 words: short
    Sentence("a dog without a leash", absence=True),  # 5: mid
    Sentence("a man who holds a phone to his ear", absence=False),  # 9: long
    Sentence("one two three four five six seven eight nine ten", absence=False),  # very long
)
BOXES = ([0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10])


@pytest.mark.parametrize(
    ("words", "length"),
    [
        (1, "short"),
        (3, "short"),
        (4, "mid"),
        (6, "mid"),
        (7, "long"),
        (9, "long"),
        (10, "very long"),
        (40, "very long"),
    ],
)
def test_sentences_are_of_four_lengths(words: int, length: str) -> None:
    assert Sentence(" ".join(["word"] * words)).length == length


def test_perfect_predictions_score_one() -> None:
    truth = labels(*BOXES, classes=[0, 1, 2, 3])
    found = described_ap([truth], [perfect(truth)], SENTENCES)
    assert found.metrics == dict.fromkeys(("FULL", "PRES", "ABS", "short", "mid", "long", "very long"), 1.0)
    assert found.per_category["a red hat"] == {"AP": 1.0, "AP50": 1.0, "annotations": 1}


def test_presence_absence_and_length_are_means_of_their_own_sentences() -> None:
    # found: the hat and the dog; missed: the man and the long one. FULL 2/4, PRES 1/3, ABS 1/1
    truth = labels(*BOXES, classes=[0, 1, 2, 3])
    found = described_ap([truth], [predictions(*BOXES[:2], classes=[0, 1])], SENTENCES).metrics
    assert (found["FULL"], found["ABS"]) == (0.5, 1.0)
    assert found["PRES"] == pytest.approx(1 / 3)
    assert [found[name] for name in ("short", "mid", "long", "very long")] == [1.0, 1.0, 0.0, 0.0]


def test_only_sentences_of_the_images_group_count() -> None:
    # image 0 is of a group with the hat alone: its better dog is neither right nor wrong, its labelled man not missed
    truth = [labels(BOXES[0], BOXES[2], classes=[0, 2]), labels(BOXES[1], classes=[1])]
    found = [
        predictions(BOXES[0], BOXES[3], classes=[0, 1], scores=[0.5, 0.9]),
        predictions(BOXES[1], classes=[1], scores=[0.6]),
    ]
    within = described_ap(truth, found, SENTENCES, groups=[{0}, {1, 2}])
    assert within.metrics["FULL"] == 1.0
    assert within.per_category[SENTENCES[2].text]["annotations"] == 0
    # inter-scenario: dog at precision 1/2, man missed, hat right
    assert described_ap(truth, found, SENTENCES).per_category[SENTENCES[1].text]["AP50"] == 0.5
    assert described_ap(truth, found, SENTENCES).metrics["long"] == 0.0


def test_sentences_without_a_label_and_of_unknown_kind_take_no_part() -> None:
    truth = labels(BOXES[0], classes=[0])
    found = described_ap([truth], [perfect(truth)], [Sentence("a hat"), Sentence("a dog")]).metrics
    assert (found["FULL"], found["PRES"], found["ABS"]) == (1.0, None, None)


def test_equal_texts_are_two_sentences() -> None:
    truth = labels(BOXES[0], BOXES[1], classes=[0, 1])
    found = described_ap([truth], [predictions(BOXES[0], classes=[0])], [Sentence("a hat"), Sentence("a hat")])
    assert found.metrics["FULL"] == 0.5
    assert [row["AP"] for row in found.per_category.values()] == [1.0, 0.0]


def test_no_predictions_score_zero_and_no_labels_nothing() -> None:
    assert described_ap([labels(BOXES[0])], [predictions()], SENTENCES).metrics["FULL"] == 0.0
    assert set(described_ap([labels()], [predictions()], SENTENCES).metrics.values()) == {None}
    assert described_ap([], [], SENTENCES, groups=[]).images == 0


def test_a_crowd_is_neither_missed_nor_matched() -> None:
    truth = labels(BOXES[0], [100, 100, 200, 200], classes=[0, 0], crowd=[False, True])
    found = predictions(BOXES[0], [120, 120, 130, 130], classes=[0, 0], scores=[0.5, 0.9])
    assert described_ap([truth], [found], SENTENCES, groups=[{0}]).metrics["FULL"] == 1.0


def test_the_order_of_images_and_boxes_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    truth = [labels(*BOXES, classes=rng.integers(0, 4, 4).tolist()) for _ in range(5)]
    found = [replace(perfect(t), classes=rng.integers(0, 4, 4), scores=rng.random(4).astype(np.float32)) for t in truth]
    groups = [set(rng.integers(0, 4, 3).tolist()) for _ in truth]
    before = described_ap(truth, found, SENTENCES, groups).metrics
    pairs = [shuffled(t, f, rng) for t, f in zip(truth[::-1], found[::-1], strict=True)]
    after = described_ap([t for t, _ in pairs], [f for _, f in pairs], SENTENCES, groups[::-1]).metrics
    assert after == pytest.approx(before)


def test_lists_of_unlike_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 images have labels, 1 predictions and 2 a group"):
        described_ap([labels()], [predictions()], SENTENCES, groups=[{0}, {1}])
