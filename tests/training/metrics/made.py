"""Labels and predictions written out by hand, for tests of metrics."""

from collections.abc import Sequence

import numpy as np

from common.boxes import Boxes
from training.metrics.coco import Labels, Predictions


def boxes(*rows: Sequence[float]) -> Boxes:
    """(N, 4) pixels, xyxy."""
    return np.array(rows, np.float32).reshape(-1, 4)


def labels(*rows: Sequence[float], classes: Sequence[int] | None = None, crowd: Sequence[bool] | None = None) -> Labels:
    return Labels(
        boxes(*rows),
        np.array(classes if classes is not None else [0] * len(rows), np.int64),
        None if crowd is None else np.array(crowd),
    )


def predictions(
    *rows: Sequence[float], scores: Sequence[float] | None = None, classes: Sequence[int] | None = None
) -> Predictions:
    return Predictions(
        boxes(*rows),
        np.array(classes if classes is not None else [0] * len(rows), np.int64),
        np.array(scores if scores is not None else [0.9] * len(rows), np.float32),
    )


def perfect(truth: Labels) -> Predictions:
    """Each box of the labels with score 1."""
    return Predictions(truth.boxes_xyxy, truth.classes, np.ones(len(truth.classes), np.float32))


def shuffled(truth: Labels, found: Predictions, rng: np.random.Generator) -> tuple[Labels, Predictions]:
    """The same boxes in another order."""
    a, b = rng.permutation(len(truth.classes)), rng.permutation(len(found.classes))
    crowd = None if truth.crowd is None else truth.crowd[a]
    return (
        Labels(truth.boxes_xyxy[a], truth.classes[a], crowd),
        Predictions(found.boxes_xyxy[b], found.classes[b], found.scores[b]),
    )
