import math

import pytest
import torch

from engine.scores import (
    Candidates,
    candidates,
    category_scores,
    confirmed,
    expression_scores,
    merged,
    phrase_scores,
    pixel_boxes,
)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


# One picture, two queries, tokens: [CLS] cat . remote control . [SEP]
PROBABILITIES = ([0.9, 0.8, 0.9, 0.4, 0.2, 0.9, 0.9], [0.9, 0.1, 0.9, 0.6, 0.8, 0.9, 0.9])
LOGITS = torch.tensor([[[logit(p) for p in row] for row in PROBABILITIES]])
SPANS = [(1, 2), (3, 5)]
BOXES = torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.25, 0.5, 0.5, 1.0]])


def test_a_phrase_scores_the_mean_of_its_tokens_and_of_no_other() -> None:
    # remote control at query 0: (0.4 + 0.2) / 2 = 0.3; [CLS], '.' and [SEP] at 0.9 never count
    assert phrase_scores(LOGITS, SPANS)[0].flatten().tolist() == pytest.approx([0.8, 0.3, 0.1, 0.7])


def test_padding_columns_at_minus_infinity_score_nothing() -> None:
    padded = torch.cat([LOGITS, torch.full((1, 2, 249), float("-inf"))], dim=-1)
    assert torch.equal(phrase_scores(padded, SPANS), phrase_scores(LOGITS, SPANS))


def test_what_is_no_number_scores_nothing() -> None:
    broken = LOGITS.clone()
    broken[0, 0] = float("nan")
    assert phrase_scores(broken, SPANS)[0].flatten().tolist() == pytest.approx([0, 0, 0.1, 0.7])
    assert expression_scores(broken, (3, 5))[0].tolist() == pytest.approx([0, 0.8])


def test_an_expression_scores_its_best_token() -> None:
    assert expression_scores(LOGITS, (3, 5))[0].tolist() == pytest.approx([0.4, 0.8])


def test_a_category_scores_its_best_phrase_and_remembers_it() -> None:
    phrases = torch.tensor([[0.1, 0.5, 0.3], [0.6, 0.2, 0.7]])
    scores, chosen, categories = category_scores(phrases, owners=[4, 2, 4])
    assert categories.tolist() == [2, 4]
    assert torch.allclose(scores, torch.tensor([[0.5, 0.3], [0.2, 0.7]]))
    assert chosen.tolist() == [[1, 2], [1, 2]]


def test_one_query_may_answer_for_two_labels_with_one_entry_each() -> None:
    scores, chosen, categories = category_scores(phrase_scores(LOGITS, SPANS)[0], owners=[0, 1])
    found = candidates(BOXES, scores, categories, chosen, threshold=0.25, top_k=10)
    assert found.labels.tolist() == [0, 1, 1]
    assert found.scores.tolist() == pytest.approx([0.8, 0.7, 0.3])
    assert torch.equal(found.boxes, BOXES[[0, 1, 0]])


def test_top_k_counts_pairs_of_query_and_label() -> None:
    scores, chosen, categories = category_scores(phrase_scores(LOGITS, SPANS)[0], owners=[0, 1])
    assert candidates(BOXES, scores, categories, chosen, threshold=0, top_k=2).labels.tolist() == [0, 1]


def test_a_score_on_the_threshold_is_kept() -> None:
    scores = torch.tensor([[0.5], [0.25]])
    found = candidates(BOXES, scores, torch.tensor([0]), torch.zeros(2, 1, dtype=torch.int64), threshold=0.5, top_k=9)
    assert found.scores.tolist() == [0.5]


def test_candidates_of_several_prompts_compete_for_the_same_places() -> None:
    first, second = torch.zeros(2, 1).long(), torch.ones(2, 1).long()
    one = candidates(BOXES, torch.tensor([[0.5], [0.1]]), torch.tensor([0]), first, threshold=0, top_k=9)
    two = candidates(BOXES, torch.tensor([[0.3], [0.9]]), torch.tensor([7]), second, threshold=0, top_k=9)
    best = merged([one, two], top_k=3)
    assert best.labels.tolist() == [7, 0, 7]
    assert best.phrases.tolist() == [1, 0, 1]


def test_boxes_become_pixels_clipped_to_the_picture() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.0, 1.0, 0.5, 0.5]])
    # 200 x 100: centre (100, 50), size (40, 40); the second leaves the picture left and below
    assert pixel_boxes(boxes, height=100, width=200).tolist() == [
        pytest.approx([80, 30, 120, 70]),
        pytest.approx([0, 75, 50, 100]),
    ]


def test_a_second_look_confirms_by_label_and_place_and_the_geometric_mean_counts() -> None:
    def rows_of(*rows: tuple[float, float, int]) -> Candidates:
        """Boxes half the picture wide with their left edge at x; score; label."""
        boxes = torch.tensor([[x + 0.25, 0.5, 0.5, 1.0] for x, _, _ in rows]).reshape(-1, 4)
        labels = torch.tensor([label for _, _, label in rows], dtype=torch.int64)
        return Candidates(boxes, torch.tensor([score for _, score, _ in rows]), labels, labels + 7)

    first = rows_of((0.0, 0.9, 1), (0.5, 0.8, 1), (0.0, 0.5, 2), (0.0, 0.4, 3))
    # The first is confirmed twice; the second too far away (they overlap by a third); the third by another label.
    second = rows_of((0.05, 0.4, 1), (0.0, 0.1, 1), (0.25, 0.9, 1), (0.0, 0.9, 3))
    found = confirmed(first, second)
    assert found.labels.tolist() == [1, 3]
    assert found.phrases.tolist() == [8, 10]
    torch.testing.assert_close(found.scores, torch.tensor([0.36, 0.36]).sqrt())
    torch.testing.assert_close(found.boxes, first.boxes[[0, 3]])
    assert len(confirmed(first, rows_of()).scores) == 0
    assert found.above(0.61).labels.tolist() == []
