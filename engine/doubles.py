"""Second boxes around one object."""

import numpy as np
import supervision as sv
import torch
from torchvision.ops import batched_nms

DOUBLES_IOU = 0.6
"""Two boxes of one category that overlap more are one object."""


def without_doubles(detections: sv.Detections) -> sv.Detections:
    """Only the best of several boxes of one category around one object: what a person would have to reject again.

    Evaluation sees them all, as the published protocols want it.
    """
    if detections.confidence is None or detections.class_id is None or not len(detections):
        return detections
    # supervision's own holds every pair of boxes at once: gigabytes of the tens of thousands on a large picture.
    kept = batched_nms(
        torch.from_numpy(detections.xyxy.astype(np.float64)),
        torch.from_numpy(detections.confidence.astype(np.float64)),
        torch.from_numpy(detections.class_id.astype(np.int64)),
        DOUBLES_IOU,
    )
    return detections.select(np.sort(kept.numpy()))
