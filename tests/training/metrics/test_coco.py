import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.metrics.made import NAMES, labels, noisy_image, predictions, shuffled
from training.metrics.coco import COCO_METRICS, Labels, Predictions, coco_dataset, coco_metrics, coco_results

ROOT = Path(__file__).resolve().parents[3]


def test_perfect_predictions_score_one() -> None:
    truth = [labels([0, 0, 10, 10], [20, 20, 60, 70], classes=[0, 1]), labels([5, 5, 200, 200])]
    perfect = [Predictions(t.boxes_xyxy, t.classes, np.ones(len(t.classes), np.float32)) for t in truth]
    found = coco_metrics(truth, perfect, NAMES)
    assert found.metrics == dict.fromkeys(COCO_METRICS, 1.0)
    assert found.per_category["cat"] == {"AP": 1.0, "AP50": 1.0, "annotations": 2}
    assert found.per_category["cow"] == {"AP": None, "AP50": None, "annotations": 0}
    assert found.images == 2


def test_a_false_alarm_above_the_right_box_halves_precision() -> None:
    truth = [labels([0, 0, 10, 10])]
    found = coco_metrics(truth, [predictions([50, 50, 60, 60], [0, 0, 10, 10], scores=[0.9, 0.8])], NAMES)
    assert found.metrics["AP50"] == pytest.approx(0.5)


def test_a_box_that_overlaps_by_two_thirds_counts_up_to_that_threshold() -> None:
    # 10 x 10 against 10 x 15 on top of it: IoU 2/3, right at 0.50, 0.55, 0.60 and 0.65 of ten thresholds
    found = coco_metrics([labels([0, 0, 10, 10])], [predictions([0, 0, 10, 15])], NAMES)
    assert found.metrics["AP"] == pytest.approx(0.4)
    assert (found.metrics["AP50"], found.metrics["AP75"]) == (1.0, 0.0)


def test_the_wrong_category_is_wrong() -> None:
    found = coco_metrics([labels([0, 0, 10, 10])], [predictions([0, 0, 10, 10], classes=[1])], NAMES)
    assert found.metrics["AP"] == 0.0


def test_a_size_nobody_labelled_is_unknown_not_zero() -> None:
    found = coco_metrics([labels([0, 0, 10, 10])], [predictions([0, 0, 10, 10])], NAMES)
    assert (found.metrics["APs"], found.metrics["APl"]) == (1.0, None)
    json.dumps(asdict(found), allow_nan=False)


def test_a_crowd_is_neither_missed_nor_matched() -> None:
    truth = [labels([0, 0, 10, 10], [50, 50, 90, 90], crowd=[False, True])]
    # the second prediction lies inside the crowd: ignored, though it has the higher score
    found = coco_metrics(truth, [predictions([0, 0, 10, 10], [60, 60, 70, 70], scores=[0.5, 0.9])], NAMES)
    assert found.metrics["AP"] == 1.0
    assert found.per_category["cat"]["annotations"] == 1


def test_no_predictions_score_zero() -> None:
    assert coco_metrics([labels([0, 0, 10, 10])], [predictions()], NAMES).metrics["AP"] == 0.0


def test_no_labels_and_no_images_leave_everything_unknown() -> None:
    for truth, found in (([labels()], [predictions([0, 0, 10, 10])]), ([], [])):
        evaluation = coco_metrics(truth, found, NAMES)
        assert set(evaluation.metrics.values()) == {None}
        assert evaluation.images == len(truth)


def test_images_without_labels_count_their_false_alarms() -> None:
    truth = [labels([0, 0, 10, 10]), labels()]
    found = coco_metrics(truth, [predictions([0, 0, 10, 10], scores=[0.5]), predictions([0, 0, 9, 9])], NAMES)
    assert found.metrics["AP50"] == pytest.approx(0.5)


def test_lists_of_unlike_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 images have labels but 1 have predictions"):
        coco_metrics([labels(), labels()], [predictions()], NAMES)


def test_recall_is_limited_to_the_best_of_an_image_and_category() -> None:
    truth = [labels([0, 0, 10, 10], [20, 20, 30, 30])]
    perfect = [predictions([0, 0, 10, 10], [20, 20, 30, 30], scores=[0.9, 0.8])]
    found = coco_metrics(truth, perfect, NAMES)
    assert (found.metrics["AR1"], found.metrics["AR10"]) == (0.5, 1.0)


def test_an_object_is_as_large_as_its_outline_not_its_box() -> None:
    # the box has 100² px and is large, the outline within it 40² px: medium
    truth = [replace(labels([0, 0, 100, 100]), areas_px=np.array([1600.0]))]
    found = coco_metrics(truth, [predictions([0, 0, 100, 100])], NAMES)
    assert (found.metrics["APm"], found.metrics["APl"]) == (1.0, None)


def test_the_order_of_images_boxes_and_categories_changes_nothing() -> None:
    rng = np.random.default_rng(7)
    truth, found = zip(*(noisy_image(rng) for _ in range(8)), strict=True)
    before = coco_metrics(truth, found, NAMES)
    order = rng.permutation(8)
    pairs = [shuffled(truth[i], found[i], rng) for i in order]
    after = coco_metrics([t for t, _ in pairs], [p for _, p in pairs], NAMES)
    assert after.metrics == pytest.approx(before.metrics)
    renamed = [replace(t, classes=2 - t.classes) for t in truth], [replace(p, classes=2 - p.classes) for p in found]
    assert coco_metrics(*renamed, NAMES[::-1]).metrics == pytest.approx(before.metrics)


def test_an_overlap_of_exactly_one_half_counts() -> None:
    # 10 x 10 against 10 x 20 on top of it: 100 / 200, right at the first of ten thresholds
    found = coco_metrics([labels([0, 0, 10, 10])], [predictions([0, 0, 10, 20])], NAMES)
    assert found.metrics["AP50"] == 1.0
    assert found.metrics["AP"] == pytest.approx(0.1)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_agree_with_pycocotools_where_scores_are_tied(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(seed)
    truth, found = zip(*(noisy_image(rng) for _ in range(12)), strict=True)
    tied = [replace(p, scores=np.round(p.scores * 4).astype(np.float32) / 4) for p in found]
    bare = [replace(t, classes=np.minimum(t.classes, 1)) if i % 3 else labels() for i, t in enumerate(truth)]
    ours = coco_metrics(bare, tied, NAMES)  # some images are empty, no cow is labelled, many scores are equal
    reference = pycocotools_metrics(bare, tied)
    capsys.readouterr()
    for key, value in reference.items():
        assert ours.metrics[key] == (pytest.approx(value, abs=1e-9) if value > -1 else None), key


@pytest.mark.parametrize("seed", range(4))
def test_numbers_agree_with_pycocotools(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(seed)
    truth, found = zip(*(noisy_image(rng) for _ in range(12)), strict=True)
    ours = coco_metrics(truth, found, NAMES)
    reference = pycocotools_metrics(truth, found)
    capsys.readouterr()
    for key, value in reference.items():
        assert ours.metrics[key] == (pytest.approx(value, abs=1e-9) if value > -1 else None), key


@pytest.mark.parametrize("at_once", [1, 60])
def test_categories_counted_one_by_one_or_two_by_two_give_the_same_numbers(at_once: int) -> None:
    truth, found = zip(*(noisy_image(np.random.default_rng(seed)) for seed in range(12)), strict=True)
    assert coco_metrics(truth, found, NAMES, at_once=at_once) == coco_metrics(truth, found, NAMES)


def pycocotools_metrics(truth: Sequence[Labels], found: Sequence[Predictions]) -> dict[str, float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    reference: Any = COCO()
    reference.dataset = coco_dataset(truth, NAMES)
    reference.createIndex()
    evaluator = COCOeval(reference, reference.loadRes(coco_results(found)), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return {key: float(value) for key, value in zip(COCO_METRICS, evaluator.stats, strict=True)}


def test_the_metrics_can_be_imported_without_torch() -> None:
    code = "import training.metrics, sys; print('torch' in sys.modules, 'annotations.queries' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]
