from collections.abc import Sequence

import numpy as np
import pytest
import supervision as sv
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.metrics.made import NAMES, labels, noisy_image, predictions
from training.metrics.analysis import Analysis, Curve, analyse, match
from training.metrics.coco import Labels, Predictions, coco_metrics
from training.metrics.confusion import Outcome, confusion_matrix, outcome
from training.metrics.suggested import best_threshold, suggest, thresholds_of

seeds = st.integers(0, 2**32 - 1)


def scene(seed: int, images: int = 4) -> tuple[list[Labels], list[Predictions]]:
    rng = np.random.default_rng(seed)
    truth, found = zip(*(noisy_image(rng) for _ in range(images)), strict=True)
    return list(truth), list(found)


def outcomes(truth: Sequence[Labels], found: Sequence[Predictions], analysis: Analysis, at: float) -> list[Outcome]:
    thresholds = np.full(len(analysis.names), at)
    return [outcome(t, f, m, thresholds) for t, f, m in zip(truth, found, analysis.matches, strict=True)]


def matrix(truth: Sequence[Labels], found: Sequence[Predictions], at: float) -> list[list[int]]:
    analysis = analyse(truth, found, NAMES)
    rows: list[list[int]] = confusion_matrix(truth, found, outcomes(truth, found, analysis, at), len(NAMES)).tolist()
    return rows


def test_a_curve_counts_right_and_wrong_as_the_threshold_falls() -> None:
    # two cats; scores: 0.9 finds the first, 0.8 finds nothing, 0.6 and 0.6 (one threshold) find the second and nothing
    truth = [labels([0, 0, 10, 10], [20, 20, 30, 30])]
    found = [
        predictions([0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 31], [70, 70, 80, 80], scores=[0.9, 0.8, 0.6, 0.6])
    ]
    curve = analyse(truth, found, NAMES).curves[0]
    assert curve.thresholds.tolist() == pytest.approx([0.9, 0.8, 0.6])
    assert curve.right.tolist() == [1, 1, 2]
    assert curve.wrong.tolist() == [0, 1, 2]
    assert curve.precision.tolist() == [1, 0.5, 0.5]
    assert curve.recall.tolist() == [0.5, 0.5, 1]
    assert curve.f1.tolist() == pytest.approx([2 / 3, 2 / 4, 4 / 6])
    assert [curve.at(score) for score in (1, 0.85, 0.7, 0)] == [(0, 0), (1, 0), (1, 1), (2, 2)]


def test_two_predictions_on_one_label_are_right_once() -> None:
    found = match(labels([0, 0, 10, 10]), predictions([0, 0, 10, 9], [0, 0, 10, 10], scores=[0.9, 0.8]))
    assert found.found.tolist() == [0, -1]  # the better score, not the better overlap


def test_a_crowd_takes_any_number_of_predictions_out_of_the_count() -> None:
    truth = [labels([0, 0, 100, 100], crowd=[True])]
    found = [predictions([0, 0, 10, 10], [0, 0, 20, 20], [200, 200, 210, 210], scores=[0.9, 0.8, 0.7])]
    analysis = analyse(truth, found, NAMES)
    assert analysis.matches[0].ignored.tolist() == [True, True, False]
    assert (analysis.curves[0].labels, analysis.curves[0].at(0)) == (0, (0, 1))
    assert matrix(truth, found, 0)[3] == [1, 0, 0, 0]


def test_a_box_half_inside_a_crowd_belongs_to_it() -> None:
    # of 10 x 10 pixels 5 x 10 lie in the crowd: half of the prediction, though the IoU is tiny
    found = match(labels([5, 0, 100, 100], crowd=[True]), predictions([0, 0, 10, 10]))
    assert found.ignored.tolist() == [True]


def test_a_category_counts_its_best_hundred_of_an_image() -> None:
    far = [[200.0 + index, 0, 201.0 + index, 1] for index in range(100)]
    found = predictions(*far, [0, 0, 10, 10], scores=[0.9] * 100 + [0.1])
    analysis = analyse([labels([0, 0, 10, 10])], [found], NAMES)
    assert analysis.curves[0].at(0) == (0, 100)


def test_the_matrix_says_what_was_taken_for_what() -> None:
    truth = [labels([0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10], classes=[0, 0, 1, 2])]
    found = [
        predictions(
            [0, 0, 10, 10],  # a cat, found
            [0, 0, 10, 10],  # a dog on the same cat: false, the label is taken
            [20, 0, 30, 10],  # a dog where a cat is: mislabelled
            [40, 0, 50, 10],  # a dog, found
            [90, 0, 99, 10],  # a cow where nothing is
            [60, 0, 70, 10],  # the cow, below the threshold: missed
            scores=[0.9, 0.95, 0.8, 0.7, 0.6, 0.4],
            classes=[0, 1, 1, 1, 2, 2],
        )
    ]
    #      cat dog cow missed
    assert matrix(truth, found, 0.5) == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 1, 0]]
    (result,) = outcomes(truth, found, analyse(truth, found, NAMES), 0.5)
    assert result.mislabelled.tolist() == [[2, 1]]
    assert (result.missed.tolist(), result.false.tolist()) == ([3], [1, 4])
    assert result.faults == 4


def test_each_category_has_its_own_threshold_in_the_matrix() -> None:
    truth = [labels([0, 0, 10, 10], [20, 0, 30, 10], classes=[0, 1])]
    found = [predictions([0, 0, 10, 10], [20, 0, 30, 10], scores=[0.3, 0.3], classes=[0, 1])]
    analysis = analyse(truth, found, NAMES)
    result = outcome(truth[0], found[0], analysis.matches[0], np.array([0.2, 0.5, 0.5]))
    assert (result.right.tolist(), result.missed.tolist()) == ([[0, 0]], [1])


def test_lists_of_unlike_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 images have labels but 1 have predictions"):
        analyse([labels(), labels()], [predictions()], NAMES)


def test_nothing_at_all_has_empty_curves_and_no_suggestion() -> None:
    for truth, found in (([], []), ([labels()], [predictions()])):
        analysis = analyse(truth, found, NAMES)
        assert [len(curve.thresholds) for curve in analysis.curves] == [0, 0, 0]
        assert set(suggest(analysis).values()) == {None}
        assert matrix(truth, found, 0.5) == np.zeros((4, 4)).tolist()


@settings(max_examples=40)
@given(seeds, st.floats(0, 1))
def test_a_row_of_the_matrix_sums_to_the_labels_and_its_diagonal_to_what_the_curve_says(seed: int, at: float) -> None:
    truth, found = scene(seed)
    analysis = analyse(truth, found, NAMES)
    rows = np.array(matrix(truth, found, at))
    assert rows[:3].sum(1).tolist() == [curve.labels for curve in analysis.curves]
    assert rows.diagonal()[:3].tolist() == [curve.at(at)[0] for curve in analysis.curves]
    shown = [sum(curve.at(at)) for curve in analysis.curves]
    assert rows[:, :3].sum(0).tolist() == shown


@settings(max_examples=20)
@given(seeds)
def test_perfect_predictions_give_a_diagonal_and_precision_one_at_recall_one(seed: int) -> None:
    truth = [Labels(t.boxes_xyxy, t.classes) for t in scene(seed)[0]]
    found = [Predictions(t.boxes_xyxy, t.classes, np.full(len(t.classes), 0.7, np.float32)) for t in truth]
    rows = np.array(matrix(truth, found, 0.5))
    assert (rows == np.diag(rows.diagonal())).all()
    for curve in analyse(truth, found, NAMES).curves:
        if curve.labels:
            assert (curve.precision[-1], curve.recall[-1]) == (1, 1)


@settings(max_examples=20)
@given(seeds)
def test_the_area_under_the_curve_is_cocos_ap50(seed: int) -> None:
    truth, found = scene(seed, images=6)
    reference = coco_metrics(truth, found, NAMES).per_category
    for name, curve in zip(NAMES, analyse(truth, found, NAMES).curves, strict=True):
        expected = reference[name]["AP50"]
        if expected is not None:
            assert interpolated_ap(curve) == pytest.approx(expected, abs=1e-9)


def interpolated_ap(curve: Curve) -> float:
    """COCO's mean over 101 recalls of the best precision at that recall or a higher one."""
    best = np.maximum.accumulate(curve.precision[::-1])[::-1]
    reached = np.searchsorted(curve.recall, np.linspace(0, 1, 101), side="left")
    return float(np.append(best, 0)[reached].mean()) if len(best) else 0.0


@settings(max_examples=20)
@given(seeds)
def test_boxes_apart_from_each_other_give_supervisions_matrix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = np.stack([np.arange(12) * 40.0, np.zeros(12)], 1)
    boxes = np.concatenate([corners, corners + 20], 1).astype(np.float32)
    truth = Labels(boxes, rng.integers(0, 3, 12))
    seen = rng.random(12) < 0.7
    found = Predictions(boxes[seen] + 1, rng.integers(0, 3, seen.sum()), rng.random(seen.sum()).astype(np.float32))
    reference = sv.ConfusionMatrix.from_detections(
        [sv.Detections(found.boxes_xyxy, confidence=found.scores, class_id=found.classes)],
        [sv.Detections(truth.boxes_xyxy, class_id=truth.classes)],
        list(NAMES),
        conf_threshold=0.4,
    )
    assert matrix([truth], [found], 0.4) == reference.matrix.tolist()


def curve(*scored: tuple[float, bool], wanted: int) -> Curve:
    """A curve of predictions given as (score, right), the highest first."""
    right = np.cumsum([is_right for _, is_right in scored])
    return Curve(np.array([s for s, _ in scored]), right, np.arange(1, len(scored) + 1) - right, wanted)


def test_the_best_threshold_lies_between_the_last_box_kept_and_the_next() -> None:
    # F1 after each: 2/3, 1, 4/5: best after two, between 0.7 and 0.314, so 0.507, which is 0.51 with two decimals
    assert best_threshold(curve((0.9, True), (0.7, True), (0.314, False), wanted=2)) == 0.51


def test_of_equally_good_thresholds_the_highest_is_suggested() -> None:
    # F1: 2/(1+2) = 2/3, then 2/(2+2), then 4/(4+2) = 2/3 again
    found = curve((0.9, True), (0.7, False), (0.5, False), (0.3, True), wanted=2)
    assert found.f1.tolist() == pytest.approx([2 / 3, 1 / 2, 2 / 5, 2 / 3])
    assert best_threshold(found) == 0.8


def test_a_threshold_between_scores_closer_than_two_decimals_keeps_the_same_boxes() -> None:
    found = best_threshold(curve((0.5004, True), (0.5002, False), wanted=1))
    assert found == pytest.approx(0.5003)


def test_a_category_of_which_nothing_is_found_has_no_threshold() -> None:
    assert best_threshold(curve((0.9, False), wanted=20)) is None
    assert best_threshold(curve(wanted=20)) is None


def test_a_category_with_few_labels_shares_the_threshold_of_all() -> None:
    boxes = [[40.0 * index, 0, 40.0 * index + 20, 20] for index in range(12)]
    truth = [labels(*boxes, classes=[0] * 11 + [1])]
    # eleven cats at 0.6, one dog at 0.9; the cow has neither label nor prediction
    found = [predictions(*boxes, scores=[0.6] * 11 + [0.9], classes=[0] * 11 + [1])]
    cat, dog, cow = suggest(analyse(truth, found, NAMES)).values()
    assert cat is not None and dog is not None and cow is not None
    assert (cat.basis, cat.threshold, cat.f1) == ("own", 0.3, 1)
    assert (dog.basis, dog.threshold, dog.precision, dog.recall) == ("shared", 0.3, 1, 1)
    assert (cow.basis, cow.precision, cow.recall, cow.f1) == ("shared", None, None, None)


def test_with_few_labels_in_all_nothing_is_suggested() -> None:
    truth, found = [labels([0, 0, 10, 10])], [predictions([0, 0, 10, 10])]
    suggestions = suggest(analyse(truth, found, NAMES))
    assert set(suggestions.values()) == {None}
    assert thresholds_of(NAMES, suggestions, 0.4).tolist() == [0.4] * 3


def test_a_thinned_curve_keeps_its_ends_and_its_best() -> None:
    scored = [(1 - index / 1000, index < 333) for index in range(1000)]
    thin = curve(*scored, wanted=400).thinned(20)
    assert len(thin.thresholds) <= 20
    assert (thin.thresholds[0], thin.thresholds[-1]) == (1, pytest.approx(0.001))
    assert thin.f1.max() == pytest.approx(2 * 333 / (333 + 400))
    assert thin.thinned(20) is thin
