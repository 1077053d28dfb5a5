import numpy as np
import pytest
import supervision as sv

from engine.doubles import without_doubles


def test_of_doubles_the_best_stays_and_another_category_is_no_double() -> None:
    found = sv.Detections(
        xyxy=np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10]], np.float32),  # the first two overlap by 0.9
        confidence=np.array([0.4, 0.6, 0.5], np.float32),
        class_id=np.array([0, 0, 1]),
    )
    kept = without_doubles(found)
    assert kept.confidence is not None
    assert sorted(kept.confidence.tolist()) == pytest.approx([0.5, 0.6])
