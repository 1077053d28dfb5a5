import pytest

from tests.training.metrics.made import labels, perfect, predictions
from training.metrics.coco import coco_metrics
from training.metrics.odinw import ODINW13, is_of_odinw13, odinw_average

CAT = labels([0, 0, 10, 10])
PERFECT = coco_metrics([CAT], [perfect(CAT)], ["cat"])
MISSED = coco_metrics([CAT] * 3, [predictions()] * 3, ["cat"])
EMPTY = coco_metrics([labels()], [predictions()], ["cat"])


def test_a_large_set_weighs_as_much_as_a_small_one() -> None:
    found = odinw_average({"Aquarium": PERFECT, "pothole": MISSED})
    assert found.metrics["AP"] == 0.5
    assert found.per_category["Aquarium"]["AP"] == 1.0
    assert found.per_category["pothole"] == {**MISSED.metrics, "images": 3}
    assert found.images == 4


def test_a_set_without_labels_is_shown_but_not_averaged() -> None:
    found = odinw_average({"Aquarium": PERFECT, "pothole": EMPTY})
    assert found.metrics["AP"] == 1.0
    assert found.per_category["pothole"]["AP"] is None


def test_the_order_of_sets_changes_nothing() -> None:
    one, other = {"a": PERFECT, "b": MISSED, "c": PERFECT}, {"c": PERFECT, "b": MISSED, "a": PERFECT}
    assert odinw_average(one).metrics == pytest.approx(odinw_average(other).metrics)


def test_no_set_is_no_number() -> None:
    assert odinw_average({}).metrics == {}


def test_there_are_thirteen_sets() -> None:
    assert len(set(ODINW13)) == 13
    assert is_of_odinw13("EgoHands/generic") and is_of_odinw13("Packages/Raw")
    assert not is_of_odinw13("EgoHands/specific") and not is_of_odinw13("potholes")
