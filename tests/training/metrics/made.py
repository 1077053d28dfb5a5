"""Labels and predictions written out by hand, for tests of metrics."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes
from training.metrics.coco import Labels, Predictions

NAMES = ("cat", "dog", "cow")


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
