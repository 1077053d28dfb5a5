"""COCO's average precision of boxes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes
from common.images import read_indexed

if TYPE_CHECKING:
    from supervision import Detections

    from annotations.queries import LabelledImage
    from engine.detector import Detector
    from engine.ontology import Ontology

MAX_DETECTIONS = 100  # per image and category, COCO's own limit
_AREAS = {"": 0, "s": 1, "m": 2, "l": 3}  # rows of the library's area ranges: all, below 32² px, below 96² px, above


@dataclass(frozen=True)
class Labels:
    """What people say is on one image.

    Attributes:
        boxes_xyxy: (N, 4) pixels.
        classes: (N,) int, index of each box's category.
        crowd: (N,) bool, boxes around many objects, where detections count neither as right nor as wrong; None: none.
    """

    boxes_xyxy: Boxes
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_] | None = None


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
            and above, px), "AR100" (recall with 100 detections).
        per_category: name -> {"AP", "AP50", "annotations"}.
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
    """Run a detector over labelled images and score it.

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
    labels, predictions = [], []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        pixels = [read_indexed(Path(image.path), image.width, image.height) for image in part]
        found = detector.detect(pixels, ontology, threshold=0.0, top_k=300)
        for image, detections in zip(part, found, strict=True):
            labels.append(_labels_of(image, index))
            predictions.append(_predictions_of(detections))
        if progress is not None:
            progress(min(start + batch_size, len(images)), len(images))
    return coco_metrics(labels, predictions, ontology.names)


def coco_metrics(labels: Sequence[Labels], predictions: Sequence[Predictions], names: Sequence[str]) -> Evaluation:
    """COCO's box metrics of predictions against labels, image by image.

    A category without any label takes no part in the means (COCO's rule).

    Args:
        labels: one per image.
        predictions: one per image, in the same order.
        names: of the categories, in the order that `classes` index.
    """
    if len(labels) != len(predictions):
        raise ValueError(f"{len(labels)} images have labels but {len(predictions)} have predictions.")
    dataset = coco_dataset(labels, names)
    results = coco_results(predictions)
    counts = np.bincount([a["category_id"] for a in dataset["annotations"] if not a["iscrowd"]], minlength=len(names))
    if not counts.any():
        return _nothing(names, len(labels))
    precision, recall = _accumulate(dataset, results)
    metrics = {
        "AP": _mean(precision[..., 0]),
        "AP50": _mean(precision[0, ..., 0]),
        "AP75": _mean(precision[5, ..., 0]),
        **{f"AP{size}": _mean(precision[..., row]) for size, row in _AREAS.items() if size},
        "AR100": _mean(recall[..., 0]),
    }
    per_category: dict[str, Mapping[str, float | int | None]] = {
        name: {
            "AP": _mean(precision[:, :, row, 0]),
            "AP50": _mean(precision[0, :, row, 0]),
            "annotations": int(counts[row]),
        }
        for row, name in enumerate(names)
    }
    return Evaluation(metrics, per_category, len(labels))


def coco_dataset(labels: Sequence[Labels], names: Sequence[str]) -> dict[str, Any]:
    """Labels as a COCO document; image ids are positions from 1, category ids are indices."""
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(labels, start=1):
        crowd = image.crowd if image.crowd is not None else np.zeros(len(image.classes), bool)
        for box, class_id, is_crowd in zip(image.boxes_xyxy, image.classes, crowd, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(class_id),
                    "bbox": _xywh(box),
                    "area": float((box[2] - box[0]) * (box[3] - box[1])),
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


def _accumulate(dataset: dict[str, Any], results: list[dict[str, Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Precision (10 IoUs, 101 recalls, K, 4 areas) and recall (10 IoUs, K, 4 areas); -1: nothing to measure."""
    from faster_coco_eval import COCO, COCOeval_faster  # half a second to import, not needed to read metrics

    truth = COCO(dataset)
    evaluator = COCOeval_faster(truth, truth.loadRes(results), "bbox", extra_calc=False)
    evaluator.params.maxDets = [MAX_DETECTIONS]
    evaluator.evaluate()
    evaluator.accumulate()
    return np.asarray(evaluator.eval["precision"])[..., 0], np.asarray(evaluator.eval["recall"])[..., 0]


def _mean(values: NDArray[Any]) -> float | None:
    measured = values[values > -1]
    if not measured.size:
        return None
    mean = float(measured.mean())
    return mean if math.isfinite(mean) else None


def _nothing(names: Sequence[str], images: int) -> Evaluation:
    keys = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")
    return Evaluation(
        dict.fromkeys(keys), {name: {"AP": None, "AP50": None, "annotations": 0} for name in names}, images
    )


def _xywh(box: NDArray[np.float32]) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return [x1, y1, x2 - x1, y2 - y1]


def _predictions_of(detections: "Detections") -> Predictions:
    count = len(detections)
    classes = np.zeros(count) if detections.class_id is None else detections.class_id
    scores = np.zeros(count) if detections.confidence is None else detections.confidence
    return Predictions(
        detections.xyxy.astype(np.float32), np.asarray(classes, np.int64), np.asarray(scores, np.float32)
    )


def _labels_of(image: "LabelledImage", index: Mapping[int, int]) -> Labels:
    classes = np.array([index.get(int(id_), -1) for id_ in image.category_ids], np.int64)
    known = classes >= 0
    return Labels(image.boxes_xyxy[known], classes[known], image.iscrowd[known])
