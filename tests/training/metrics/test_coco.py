import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.metrics.coco import Labels, Predictions, coco_dataset, coco_metrics, coco_results

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("cat", "dog", "cow")


def labels(
    *boxes: Sequence[float], classes: Sequence[int] | None = None, crowd: Sequence[bool] | None = None
) -> Labels:
    return Labels(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes if classes is not None else [0] * len(boxes), np.int64),
        None if crowd is None else np.array(crowd),
    )


def predictions(
    *boxes: Sequence[float], scores: Sequence[float] | None = None, classes: Sequence[int] | None = None
) -> Predictions:
    return Predictions(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes if classes is not None else [0] * len(boxes), np.int64),
        np.array(scores if scores is not None else [0.9] * len(boxes), np.float32),
    )


def test_perfect_predictions_score_one() -> None:
    truth = [labels([0, 0, 10, 10], [20, 20, 60, 70], classes=[0, 1]), labels([5, 5, 200, 200])]
    perfect = [Predictions(t.boxes_xyxy, t.classes, np.ones(len(t.classes), np.float32)) for t in truth]
    found = coco_metrics(truth, perfect, NAMES)
    assert found.metrics == dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100"), 1.0)
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


@pytest.mark.parametrize("seed", range(4))
def test_numbers_agree_with_pycocotools(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(seed)
    truth, found = zip(*(noisy_image(rng) for _ in range(12)), strict=True)
    ours = coco_metrics(truth, found, NAMES)
    reference = pycocotools_metrics(truth, found)
    capsys.readouterr()
    for key, value in reference.items():
        assert ours.metrics[key] == pytest.approx(value, abs=1e-9), key


def noisy_image(rng: np.random.Generator) -> tuple[Labels, Predictions]:
    """Boxes of all sizes, a crowd now and then, and predictions near them, off them, doubled and misnamed."""
    count = int(rng.integers(0, 12))
    corner, size = rng.uniform(0, 300, (count, 2)), np.exp(rng.uniform(2, 5.5, (count, 2)))
    boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
    classes = rng.integers(0, len(NAMES), count)
    near = boxes + rng.normal(0, 4, boxes.shape).astype(np.float32)
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    kept: NDArray[np.bool_] = rng.random(count) < 0.8
    guessed = np.where(rng.random(count) < 0.8, classes, (classes + 1) % len(NAMES))
    everything = np.concatenate([near[kept], near[:3], np.array([[0, 0, 50, 50]], np.float32)])
    named = np.concatenate([guessed[kept], guessed[:3], [0]])
    scores = rng.random(len(everything)).astype(np.float32)
    return Labels(boxes, classes, rng.random(count) < 0.1), Predictions(everything, named, scores)


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
    order = {"AP": 0, "AP50": 1, "AP75": 2, "APs": 3, "APm": 4, "APl": 5, "AR100": 8}
    return {key: float(evaluator.stats[row]) for key, row in order.items()}


def test_the_metrics_can_be_imported_without_torch() -> None:
    code = "import training.metrics, sys; print('torch' in sys.modules, 'annotations.queries' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]
