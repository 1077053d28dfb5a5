import tracemalloc

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


def test_tens_of_thousands_of_boxes_take_no_more_memory_than_they_are_long() -> None:
    """Every pair of them at once would take 3 GB."""
    rng = np.random.default_rng(0)
    corners = (rng.random((20_000, 2)) * 12_000).astype(np.float32)
    found = sv.Detections(
        xyxy=np.concatenate([corners, corners + 20], axis=1),
        confidence=rng.random(20_000).astype(np.float32),
        class_id=rng.integers(0, 1000, 20_000),
    )
    tracemalloc.start()
    kept = without_doubles(found)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 19_000 < len(kept) <= 20_000
    assert peak_bytes < 50_000_000
