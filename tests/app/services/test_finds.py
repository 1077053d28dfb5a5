import numpy as np
import supervision as sv

from app.services.finds import Found, compared, finds_of


def found(category: int, left: float, score: float) -> Found:
    return Found(category, (left, 0.0, left + 10, 10.0), score)


def test_finds_are_in_order_of_their_scores() -> None:
    detections = sv.Detections(
        xyxy=np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], np.float32),
        class_id=np.array([4, 5, 6]),
        confidence=np.array([0.25, 0.75, 0.25], np.float32),
    )
    assert finds_of(detections) == [
        Found(5, (0, 0, 2, 2), 0.75),
        Found(4, (0, 0, 1, 1), 0.25),
        Found(6, (0, 0, 3, 3), 0.25),
    ]
    assert finds_of(sv.Detections.empty()) == []


def test_each_sure_find_says_how_far_the_other_detector_agrees_and_what_that_one_alone_sees_is_added() -> None:
    own = [found(0, 0, 0.9), found(0, 100, 0.8), found(1, 200, 0.7), found(0, 300, 0.1)]
    others = [found(0, 2, 0.6), found(0, 200, 0.6), found(0, 300, 0.9), found(0, 100, 0.2)]
    told = compared(own, others, "second")
    assert [(box.category, box.xyxy[0], box.by) for box in told] == [
        (0, 0, None),
        (0, 100, None),
        (1, 200, None),
        (0, 300, None),
        (0, 200, "second"),
        (0, 300, "second"),
    ]
    agreements = [box.agreement for box in told]
    assert agreements[0] is not None
    np.testing.assert_allclose(agreements[0], 8 / 12, rtol=1e-6)
    assert agreements[1:] == [0, 0, None, 0, 0]  # unsure boxes are neither asked about nor an answer


def test_without_a_find_the_other_detector_may_have_some_and_the_other_way_round() -> None:
    assert [box.by for box in compared([], [found(0, 0, 0.9)], "second")] == ["second"]
    assert [box.agreement for box in compared([found(0, 0, 0.9)], [], "second")] == [0]
