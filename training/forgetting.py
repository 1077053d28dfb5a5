"""How much of what a detector found before it was taught it still finds."""

import numpy as np

from common.images import ImageRefused
from engine.grounding import GroundingDetector
from training.metrics.coco import Labels, Predictions, coco_metrics
from training.replay import Memory, detect_names


def kept(detector: GroundingDetector, memory: Memory) -> float | None:
    """AP50 of a detector against what its base was sure of on the probe's images, in [0, 1]; the base scores 1.

    The yardstick is the base, not the truth: a correction of a mistake of the base counts as forgotten, and so does
    what the base overlooked.

    Returns:
        None where the probe is empty.
    """
    if memory.ontology is None:
        return None
    labels, predictions = [], []
    for recalled in memory.probe:
        try:
            found = detect_names(detector, memory.ontology, recalled, 0.0)
        except ImageRefused:
            continue  # its file is gone since
        classes, scores = np.asarray(found.class_id, np.int64), np.asarray(found.confidence, np.float32)
        labels.append(Labels(recalled.image.boxes_xyxy, recalled.image.category_ids))
        predictions.append(Predictions(found.xyxy.astype(np.float32), classes, scores))
    return coco_metrics(labels, predictions, memory.ontology.names).metrics["AP50"] if labels else None
