from collections.abc import Sequence

import numpy as np
import pytest

from tests.training.metrics.made import labels, perfect, predictions, shuffled
from training.metrics.coco import (
    Predictions,
    accumulate,
    coco_dataset,
    coco_metrics,
    coco_results,
    mean_measured,
)
from training.metrics.lvis import FederatedCategory, FederatedLabels, lvis_fixed_ap

CATEGORIES = (FederatedCategory("cat", "f"), FederatedCategory("yak", "r"), FederatedCategory("cow", "c"))
CAT = FederatedLabels(labels([0, 0, 10, 10]))  # one image with one cat; nobody looked for the others


def score(truth: Sequence[FederatedLabels], found: Sequence[Predictions], name: str = "AP50") -> float | None:
    return lvis_fixed_ap(truth, found, CATEGORIES).metrics[name]


def test_perfect_predictions_score_one() -> None:
    truth = [
        FederatedLabels(labels([0, 0, 10, 10], [20, 20, 60, 70], classes=[0, 1])),
        FederatedLabels(labels([5, 5, 200, 200])),
    ]
    found = lvis_fixed_ap(truth, [perfect(image.labels) for image in truth], CATEGORIES)
    assert {name for name, value in found.metrics.items() if value is None} == {"APc"}  # no cow is labelled
    assert {value for value in found.metrics.values() if value is not None} == {1.0}
    assert found.per_category["yak"] == {"AP": 1.0, "AP50": 1.0, "annotations": 1}
    assert found.per_category["cow"] == {"AP": None, "AP50": None, "annotations": 0}
    assert found.images == 2


def test_each_category_counts_once_in_the_means() -> None:
    # cat: both found, AP 1; yak: never predicted, AP 0; so AP 1/2, frequent 1, rare 0
    truth = [FederatedLabels(labels([0, 0, 10, 10], [30, 0, 40, 10], [60, 0, 70, 10], classes=[0, 0, 1]))]
    found = lvis_fixed_ap(truth, [predictions([0, 0, 10, 10], [30, 0, 40, 10])], CATEGORIES).metrics
    assert (found["AP"], found["APf"], found["APr"], found["APc"]) == (0.5, 1.0, 0.0, None)


def test_a_category_nobody_looked_for_on_an_image_is_ignored_there() -> None:
    right, wrong = predictions([0, 0, 10, 10], scores=[0.5]), predictions([0, 0, 10, 10], scores=[0.9])
    assert score([CAT, FederatedLabels(labels())], [right, wrong]) == 1.0
    # looked for and not there: a false alarm above the right box, precision 1/2
    assert score([CAT, FederatedLabels(labels(), absent=frozenset({0}))], [right, wrong]) == 0.5


def test_a_false_alarm_is_ignored_where_not_all_objects_are_labelled() -> None:
    found = [predictions([0, 0, 10, 10], [50, 50, 60, 60], scores=[0.5, 0.9])]
    assert score([CAT], found) == 0.5
    assert score([FederatedLabels(CAT.labels, not_exhaustive=frozenset({0}))], found) == 1.0


def test_other_categories_on_the_image_do_not_bring_a_category_in() -> None:
    truth = [FederatedLabels(labels([0, 0, 10, 10], [20, 20, 30, 30], classes=[0, 2]))]
    found = [predictions([0, 0, 10, 10], [50, 50, 60, 60], scores=[0.5, 0.9], classes=[0, 1])]
    assert score(truth, found, "APf") == 1.0  # the yak that nobody looked for hurts nobody
    assert score(truth, found, "APr") is None


def test_no_image_has_a_limit_of_its_own() -> None:
    # 400 cats on one image: COCO's AP looks at 100 of them, LVIS's own at 300, fixed AP at all
    corners = np.stack(np.meshgrid(np.arange(20), np.arange(20)), -1).reshape(-1, 2) * 10.0
    truth = labels(*np.concatenate([corners, corners + 8], 1).tolist())
    assert lvis_fixed_ap([FederatedLabels(truth)], [perfect(truth)], CATEGORIES).metrics["AP"] == 1.0
    assert coco_metrics([truth], [perfect(truth)], ["cat"]).metrics["AR100"] == 0.25


def test_the_best_of_a_category_are_chosen_over_the_whole_dataset_before_anything_is_ignored() -> None:
    # two better boxes on an image that says nothing of cats take both places: the right one is not looked at
    truth = [CAT, FederatedLabels(labels())]
    found = [
        predictions([0, 0, 10, 10], scores=[0.5]),
        predictions([0, 0, 10, 10], [20, 20, 30, 30], scores=[0.9, 0.8]),
    ]
    assert lvis_fixed_ap(truth, found, CATEGORIES, best_per_category=2).metrics["AP"] == 0.0
    assert lvis_fixed_ap(truth, found, CATEGORIES, best_per_category=3).metrics["AP"] == 1.0


def test_forgetting_the_worst_on_the_way_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    truth, found = crowd_of_images(rng)
    limited = lvis_fixed_ap(truth, found, CATEGORIES, best_per_category=20)
    scores = np.concatenate([part.scores[part.classes == 0] for part in found])
    least = np.sort(scores)[-20]
    kept = [part.scores >= np.where(part.classes == 0, least, 2) for part in found]
    only = [Predictions(p.boxes_xyxy[k], p.classes[k], p.scores[k]) for p, k in zip(found, kept, strict=True)]
    assert limited.per_category["cat"] == lvis_fixed_ap(truth, only, CATEGORIES).per_category["cat"]


def test_labels_that_speak_of_every_category_give_cocos_numbers() -> None:
    truth, found = crowd_of_images(np.random.default_rng(1))
    every = [FederatedLabels(image.labels, absent=frozenset({0, 1, 2})) for image in truth]
    ours = lvis_fixed_ap(every, found, CATEGORIES).metrics
    theirs = coco_metrics([image.labels for image in truth], found, ["cat", "yak", "cow"]).metrics
    for name in ("AP", "AP50", "AP75", "APs", "APm", "APl"):
        assert ours[name] == pytest.approx(theirs[name]), name


def test_category_by_category_gives_what_the_library_gives_for_all_at_once() -> None:
    rng = np.random.default_rng(3)
    truth, found = crowd_of_images(rng)
    sparse = [
        FederatedLabels(
            image.labels,
            absent=frozenset(np.flatnonzero(rng.random(3) < 0.3).tolist()) - set(image.labels.classes.tolist()),
            not_exhaustive=frozenset(image.labels.classes[:1].tolist()),
        )
        for image in truth
    ]
    dataset = coco_dataset([image.labels for image in sparse], [category.name for category in CATEGORIES])
    for record, category in zip(dataset["categories"], CATEGORIES, strict=True):
        record["frequency"] = category.frequency
    for record, image in zip(dataset["images"], sparse, strict=True):
        record["neg_category_ids"] = sorted(image.absent)
        record["not_exhaustive_category_ids"] = sorted(image.not_exhaustive)
    precision, _ = accumulate(dataset, coco_results(found), [1000], federated=True)
    ours = lvis_fixed_ap(sparse, found, CATEGORIES).metrics
    for name, part in (
        ("AP", precision[..., 0]),
        ("AP50", precision[0, ..., 0]),
        ("AP75", precision[5, ..., 0]),
        ("APs", precision[..., 1]),
        ("APm", precision[..., 2]),
        ("APl", precision[..., 3]),
        ("APr", precision[:, :, 1, 0]),
    ):
        assert ours[name] == pytest.approx(mean_measured(part)), name


def test_the_order_of_images_and_boxes_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    truth, found = crowd_of_images(rng)
    pairs = [(truth[i], *shuffled(truth[i].labels, found[i], rng)) for i in rng.permutation(len(truth))]
    moved = [FederatedLabels(own, old.absent, old.not_exhaustive) for old, own, _ in pairs]
    after = lvis_fixed_ap(moved, [part for _, _, part in pairs], CATEGORIES).metrics
    assert after == pytest.approx(lvis_fixed_ap(truth, found, CATEGORIES).metrics)


def test_an_overlap_of_exactly_one_half_counts() -> None:
    assert score([CAT], [predictions([0, 0, 10, 20])]) == 1.0


def test_no_predictions_score_zero_and_no_labels_nothing() -> None:
    assert score([CAT], [predictions()]) == 0.0
    assert set(lvis_fixed_ap([], [], CATEGORIES).metrics.values()) == {None}
    assert score([FederatedLabels(labels(), absent=frozenset({0}))], [predictions([0, 0, 1, 1])]) is None


def test_predictions_may_come_one_by_one() -> None:
    assert lvis_fixed_ap([CAT], iter([perfect(CAT.labels)]), CATEGORIES).metrics["AP"] == 1.0


def test_lists_of_unlike_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 images have labels but 1 have predictions"):
        lvis_fixed_ap([CAT, CAT], [predictions()], CATEGORIES)


def crowd_of_images(rng: np.random.Generator) -> tuple[list[FederatedLabels], list[Predictions]]:
    """Ten images with boxes of three categories and predictions near and off them."""
    truth, found = [], []
    for _ in range(10):
        count = int(rng.integers(0, 9))
        corner, size = rng.uniform(0, 300, (count, 2)), np.exp(rng.uniform(2, 5.5, (count, 2)))
        own = np.concatenate([corner, corner + size], 1)
        guessed = np.concatenate([own + rng.normal(0, 3, own.shape), rng.uniform(0, 50, (4, 2)).repeat(2, 1)])
        guessed[:, 2:] = np.maximum(guessed[:, 2:], guessed[:, :2] + 1)
        truth.append(FederatedLabels(labels(*own.tolist(), classes=rng.integers(0, 3, count).tolist())))
        found.append(
            predictions(
                *guessed.tolist(),
                classes=rng.integers(0, 3, count + 4).tolist(),
                scores=(rng.permutation(100)[: count + 4] / 100 + rng.random() / 1000).tolist(),
            )
        )
    return truth, found
