import numpy as np
import pytest
import supervision as sv
from hypothesis import given
from hypothesis import strategies as st

from common.boxes import Boxes, iou
from engine.consensus import SAME_IOU, consensus
from engine.errors import EngineError

Row = tuple[float, float, float, float, int]


def detections(rows: list[Row]) -> sv.Detections:
    """x1, y1, x2, y2 and a category each."""
    boxes = np.array([row[:4] for row in rows], np.float32).reshape(-1, 4)
    return sv.Detections(xyxy=boxes, class_id=np.array([row[4] for row in rows], np.int64))


@st.composite
def found(draw: st.DrawFn) -> sv.Detections:
    """Boxes on a small grid, so that many of them overlap and some are the same."""
    corner, side = st.integers(0, 4), st.integers(1, 5)
    boxes = draw(st.lists(st.tuples(corner, corner, side, side, st.integers(0, 1)), max_size=8))
    return detections([(x, y, x + width, y + height, category) for x, y, width, height, category in boxes])


def overlaps(first: sv.Detections, second: sv.Detections) -> Boxes:
    """(N, M), 0 between categories."""
    assert first.class_id is not None and second.class_id is not None
    table = iou(first.xyxy.astype(np.float32), second.xyxy.astype(np.float32))
    return np.where(first.class_id[:, None] == second.class_id[None, :], table, 0).astype(np.float32)


def test_a_box_agrees_as_much_as_it_overlaps_its_partner() -> None:
    first = detections([(0, 0, 10, 10, 0), (50, 50, 60, 60, 0)])
    second = detections([(80, 80, 90, 90, 0), (0, 0, 10, 8, 0)])  # 80 of 100 square pixels are shared
    answer = consensus(first, second)
    np.testing.assert_allclose(answer.agreement, [0.8, 0])
    np.testing.assert_array_equal(answer.missed, [0])


def test_the_closest_pair_is_matched_first_though_it_leaves_another_alone() -> None:
    first = detections([(0, 0, 10, 10, 0), (0, 0, 10, 5, 0)])
    second = detections([(0, 0, 10, 9, 0), (0, 0, 10, 18, 0)])
    # IoU: 0.9, 10/18; 5/9, 5/18. 0.9 is taken; what is left, 5/18, is no match, though 10/18 and 5/9 together are more.
    answer = consensus(first, second)
    np.testing.assert_allclose(answer.agreement, [0.9, 0])
    np.testing.assert_array_equal(answer.missed, [1])


def test_two_boxes_on_one_object_have_one_partner() -> None:
    answer = consensus(detections([(0, 0, 10, 9, 0), (0, 0, 10, 10, 0)]), detections([(0, 0, 10, 10, 0)]))
    np.testing.assert_allclose(answer.agreement, [0, 1])
    assert len(answer.missed) == 0


def test_the_same_box_under_another_name_is_no_agreement() -> None:
    answer = consensus(detections([(0, 0, 10, 10, 0)]), detections([(0, 0, 10, 10, 1)]))
    np.testing.assert_array_equal(answer.agreement, [0])
    np.testing.assert_array_equal(answer.missed, [0])


@given(found())
def test_where_the_second_sees_nothing_nothing_agrees(first: sv.Detections) -> None:
    answer = consensus(first, sv.Detections.empty())
    assert not answer.agreement.any() and len(answer.missed) == 0
    turned = consensus(sv.Detections.empty(), first)
    assert len(turned.agreement) == 0
    np.testing.assert_array_equal(turned.missed, np.arange(len(first)))


@given(found())
def test_a_detector_agrees_with_itself(own: sv.Detections) -> None:
    answer = consensus(own, own)
    np.testing.assert_array_equal(answer.agreement, np.ones(len(own)))
    assert len(answer.missed) == 0


@given(found(), found(), st.sampled_from([0.1, 0.5, 0.9]))
def test_agreements_are_overlaps_and_each_partner_is_used_once(
    first: sv.Detections, second: sv.Detections, same_iou: float
) -> None:
    answer = consensus(first, second, same_iou=same_iou)
    assert answer.agreement.shape == (len(first),) and answer.agreement.dtype == np.float32
    matched = np.flatnonzero(answer.agreement)
    assert (answer.agreement[matched] >= np.float32(same_iou)).all() and (answer.agreement <= 1).all()
    assert len(matched) + len(answer.missed) == len(second)
    table = overlaps(first, second)
    assert all(answer.agreement[row] in table[row] for row in matched)


@given(found(), found(), st.sampled_from([0.1, 0.5, 0.9]))
def test_no_two_boxes_overlap_more_than_both_overlap_their_partners(
    first: sv.Detections, second: sv.Detections, same_iou: float
) -> None:
    answer = consensus(first, second, same_iou=same_iou)
    back = consensus(second, first, same_iou=same_iou)
    table = overlaps(first, second)
    blocking = (table >= same_iou) & (table > answer.agreement[:, None]) & (table > back.agreement[None, :])
    assert not blocking.any()


@given(st.integers(0, 2**32 - 1))
def test_turned_around_the_pairs_are_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)  # no two overlaps are the same
    first, second = (
        detections([(*corner, *(corner + side), int(rng.integers(2))) for corner, side in rng.uniform(1, 9, (6, 2, 2))])
        for _ in range(2)
    )
    there, back = consensus(first, second, same_iou=0.1), consensus(second, first, same_iou=0.1)
    np.testing.assert_array_equal(np.sort(there.agreement), np.sort(back.agreement))
    np.testing.assert_array_equal(there.missed, np.flatnonzero(back.agreement == 0))
    np.testing.assert_array_equal(back.missed, np.flatnonzero(there.agreement == 0))


@given(found(), found())
def test_what_agrees_does_not_hang_on_scores(first: sv.Detections, second: sv.Detections) -> None:
    scored = sv.Detections(first.xyxy, confidence=np.linspace(0, 1, len(first)), class_id=first.class_id)
    np.testing.assert_array_equal(consensus(scored, second).agreement, consensus(first, second).agreement)


@pytest.mark.parametrize("same_iou", [0, -0.5, 1.5])
def test_an_iou_that_none_can_have_is_refused(same_iou: float) -> None:
    with pytest.raises(EngineError, match=f"{same_iou:g} is not above 0"):
        consensus(detections([]), detections([]), same_iou=same_iou)


def test_boxes_without_categories_are_refused() -> None:
    with pytest.raises(EngineError, match="2 boxes came without categories"):
        consensus(sv.Detections(xyxy=np.zeros((2, 4), np.float32)), detections([]))


def test_a_pair_at_the_limit_is_one() -> None:
    first, second = detections([(0, 0, 10, 10, 0)]), detections([(0, 0, 10, 5, 0)])
    np.testing.assert_array_equal(consensus(first, second, same_iou=SAME_IOU).agreement, [0.5])
