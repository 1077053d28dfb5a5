"""COCO's average precision of boxes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes, area
from common.images import read_indexed

if TYPE_CHECKING:
    from supervision import Detections

    from annotations.queries import LabelledImage
    from engine.detector import Detector
    from engine.ontology import Ontology

MAX_DETECTIONS = 100  # per image and category, COCO's own limit
_AT_ONCE = 100_000  # predictions: as rows of the library each takes some 2 kB
_RECALL_AT = (1, 10, MAX_DETECTIONS)
_AREAS = {"": 0, "s": 1, "m": 2, "l": 3}  # rows of the library's area ranges: all, below 32² px, below 96² px, above
COCO_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
"""COCO's twelve numbers, in its own order."""


@dataclass(frozen=True)
class Labels:
    """What people say is on one image.

    Attributes:
        boxes_xyxy: (N, 4) pixels.
        classes: (N,) int, index of each box's category.
        crowd: (N,) bool, boxes around many objects, where detections count neither as right nor as wrong; None: none.
        areas_px: (N,) of each object, by which COCO calls it small, medium or large; public files give the area of
            its outline. None: the area of the box.
    """

    boxes_xyxy: Boxes
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_] | None = None
    areas_px: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Predictions:
    """What a detector says about one image: (N, 4) pixels, (N,) category indices, (N,) scores."""

    boxes_xyxy: Boxes
    classes: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Evaluation:
    """How well predictions match labels; each number in [0, 1], None where there is nothing to measure.

    Attributes:
        metrics: "AP" (mean over IoU 0.50 to 0.95), "AP50", "AP75", "APs", "APm", "APl" (objects below 32², below 96²
            and above, px), "AR1", "AR10", "AR100" (recall with so many detections an image and category), "ARs",
            "ARm", "ARl"; other benchmarks have their own names, which stand at their functions.
        per_category: name -> {"AP", "AP50", "annotations"}; where a benchmark divides its numbers otherwise (by
            dataset, phrase type, split, threshold), by that.
        images: how many were looked at.
    """

    metrics: Mapping[str, float | None]
    per_category: Mapping[str, Mapping[str, float | int | None]]
    images: int


def evaluate_detector(
    detector: "Detector",
    images: "Sequence[LabelledImage]",
    ontology: "Ontology",
    *,
    category_ids: Sequence[int] | None = None,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run a detector over labelled images and score it; arguments and errors as those of `detected`."""
    labels, predictions = detected(
        detector, images, ontology, category_ids=category_ids, batch_size=batch_size, progress=progress
    )
    return coco_metrics(labels, predictions, ontology.names)


def detected(
    detector: "Detector",
    images: "Sequence[LabelledImage]",
    ontology: "Ontology",
    *,
    category_ids: Sequence[int] | None = None,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Labels], list[Predictions]]:
    """What people and a detector say about each image.

    Every (query, category) pair counts, the 300 best of an image, without a threshold and without suppression of
    overlaps: the protocol of the published numbers.

    Args:
        images: labels whose category is none of the ontology's are left out.
        category_ids: the images' id of each category of the ontology, in its order; None: `images` hold indices into
            the ontology, as `training.dataset.read_dataset` gives them.
        batch_size: images per forward pass.
        progress: called with (images done, images in all).

    Raises:
        ImageRefused: an image can't be read, or is not of the size it was labelled at.
    """
    index = {id_: position for position, id_ in enumerate(category_ids or range(len(ontology.categories)))}
    labels: list[Labels] = []
    predictions: list[Predictions] = []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        pixels = [read_indexed(Path(image.path), image.width, image.height) for image in part]
        found = detector.detect(pixels, ontology, threshold=0.0, top_k=300)
        for image, detections in zip(part, found, strict=True):
            labels.append(_labels_of(image, index))
            predictions.append(predictions_of(detections))
        if progress is not None:
            progress(min(start + batch_size, len(images)), len(images))
    return labels, predictions


def coco_metrics(
    labels: Sequence[Labels], predictions: Sequence[Predictions], names: Sequence[str], *, at_once: int = _AT_ONCE
) -> Evaluation:
    """COCO's box metrics of predictions against labels, image by image.

    A category without any label takes no part in the means (COCO's rule).

    Args:
        labels: one per image.
        predictions: one per image, in the same order.
        names: of the categories, in the order that `classes` index.
        at_once: categories are counted some at a time, of about so many predictions together; bounds memory.
    """
    if len(labels) != len(predictions):
        raise ValueError(f"{len(labels)} images have labels but {len(predictions)} have predictions.")
    counts = _counts(labels, len(names))
    if not counts.any():
        return _nothing(names, len(labels))
    precision, recall = _in_parts(labels, predictions, names, at_once)
    metrics = {
        "AP": mean_measured(precision[..., 0]),
        "AP50": mean_measured(precision[0, ..., 0]),
        "AP75": mean_measured(precision[5, ..., 0]),
        **{f"AP{size}": mean_measured(precision[..., row]) for size, row in _AREAS.items() if size},
        **{f"AR{most}": mean_measured(recall[:, :, 0, place]) for place, most in enumerate(_RECALL_AT)},
        **{f"AR{size}": mean_measured(recall[:, :, row, -1]) for size, row in _AREAS.items() if size},
    }
    per_category: dict[str, Mapping[str, float | int | None]] = {
        name: {
            "AP": mean_measured(precision[:, :, row, 0]),
            "AP50": mean_measured(precision[0, :, row, 0]),
            "annotations": int(counts[row]),
        }
        for row, name in enumerate(names)
    }
    return Evaluation(metrics, per_category, len(labels))


def _counts(labels: Sequence[Labels], categories: int) -> NDArray[np.int64]:
    """(K,) labels of each category, crowds apart."""
    classes = [image.classes if image.crowd is None else image.classes[~image.crowd] for image in labels]
    return np.bincount(np.concatenate([np.zeros(0, np.int64), *classes]), minlength=categories)


def _in_parts(
    labels: Sequence[Labels], predictions: Sequence[Predictions], names: Sequence[str], at_once: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The curves of `accumulate`, some categories at a time: each stands for itself, and memory stays bounded."""
    total = sum(len(image.scores) for image in predictions)
    size = max(1, len(names) * at_once // max(total, at_once))
    parts = []
    for start in range(0, len(names), size):
        own = names[start : start + size]
        dataset = coco_dataset([_labels_between(image, start, start + size) for image in labels], own)
        results = coco_results([_predictions_between(image, start, start + size) for image in predictions])
        parts.append(accumulate(dataset, results, _RECALL_AT))
    return np.concatenate([part[0] for part in parts], axis=2), np.concatenate([part[1] for part in parts], axis=1)


def _labels_between(labels: Labels, first: int, end: int) -> Labels:
    """The labels of the categories [first, end), which become the first ones."""
    rows = (labels.classes >= first) & (labels.classes < end)
    crowd = None if labels.crowd is None else labels.crowd[rows]
    areas = None if labels.areas_px is None else labels.areas_px[rows]
    return Labels(labels.boxes_xyxy[rows], labels.classes[rows] - first, crowd, areas)


def _predictions_between(found: Predictions, first: int, end: int) -> Predictions:
    rows = (found.classes >= first) & (found.classes < end)
    return Predictions(found.boxes_xyxy[rows], found.classes[rows] - first, found.scores[rows])


def coco_dataset(labels: Sequence[Labels], names: Sequence[str]) -> dict[str, Any]:
    """Labels as a COCO document; image ids are positions from 1, category ids are indices."""
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(labels, start=1):
        crowd = image.crowd if image.crowd is not None else np.zeros(len(image.classes), bool)
        areas = image.areas_px if image.areas_px is not None else area(image.boxes_xyxy)
        for box, class_id, is_crowd, area_px in zip(image.boxes_xyxy, image.classes, crowd, areas, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(class_id),
                    "bbox": _xywh(box),
                    "area": float(area_px),
                    "iscrowd": int(is_crowd),
                }
            )
    return {
        "images": [{"id": image_id} for image_id in range(1, len(labels) + 1)],
        "annotations": annotations,
        "categories": [{"id": index, "name": name} for index, name in enumerate(names)],
    }


def coco_results(predictions: Sequence[Predictions]) -> list[dict[str, Any]]:
    """Predictions as COCO's list of results, with the ids of `coco_dataset`."""
    return [
        {"image_id": image_id, "category_id": int(class_id), "bbox": _xywh(box), "score": float(score)}
        for image_id, image in enumerate(predictions, start=1)
        for box, class_id, score in zip(image.boxes_xyxy, image.classes, image.scores, strict=True)
    ]


def predictions_of(detections: "Detections") -> Predictions:
    """What a detector answers with, as plain arrays."""
    count = len(detections)
    classes = np.zeros(count) if detections.class_id is None else detections.class_id
    scores = np.zeros(count) if detections.confidence is None else detections.confidence
    return Predictions(
        detections.xyxy.astype(np.float32), np.asarray(classes, np.int64), np.asarray(scores, np.float32)
    )


def without_doubles(predictions: Predictions) -> Predictions:
    """What people are shown of raw predictions, see `engine.doubles`."""
    import supervision as sv

    from engine import doubles

    single = doubles.without_doubles(
        sv.Detections(predictions.boxes_xyxy, confidence=predictions.scores, class_id=predictions.classes)
    )
    return predictions_of(single)


def accumulate(
    dataset: dict[str, Any], results: list[dict[str, Any]], max_detections: Sequence[int], *, federated: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The curves behind the metrics; -1 where there is nothing to measure.

    Args:
        dataset: as `coco_dataset` gives it.
        results: as `coco_results` gives them.
        max_detections: per image and category, rising; precision is that with the last.
        federated: by LVIS's rules; images and categories say more then, see `training.metrics.lvis`.

    Returns:
        Precision (10 IoUs, 101 recalls, K, 4 areas), recall (10 IoUs, K, 4 areas, M limits).
    """
    from faster_coco_eval import COCO, COCOeval_faster  # half a second to import, not needed to read metrics

    truth = COCO(dataset)
    evaluator = COCOeval_faster(truth, truth.loadRes(results), "bbox", extra_calc=False, lvis_style=federated)
    evaluator.params.maxDets = list(max_detections)
    evaluator.evaluate()
    evaluator.accumulate()
    return np.asarray(evaluator.eval["precision"])[..., -1], np.asarray(evaluator.eval["recall"])


def mean_measured(values: NDArray[Any]) -> float | None:
    """The mean of what could be measured (the values above -1), or None."""
    measured = values[values > -1]
    if not measured.size:
        return None
    mean = float(measured.mean())
    return mean if math.isfinite(mean) else None


def _nothing(names: Sequence[str], images: int) -> Evaluation:
    per_category = {name: {"AP": None, "AP50": None, "annotations": 0} for name in names}
    return Evaluation(dict.fromkeys(COCO_METRICS), per_category, images)


def _xywh(box: NDArray[np.float32]) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return [x1, y1, x2 - x1, y2 - y1]


def _labels_of(image: "LabelledImage", index: Mapping[int, int]) -> Labels:
    classes = np.array([index.get(int(id_), -1) for id_ in image.category_ids], np.int64)
    known = classes >= 0
    return Labels(image.boxes_xyxy[known], classes[known], image.iscrowd[known])
