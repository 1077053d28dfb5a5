"""Second boxes around one object."""

import supervision as sv

DOUBLES_IOU = 0.6
"""Two boxes of one category that overlap more are one object."""


def without_doubles(detections: sv.Detections) -> sv.Detections:
    """Only the best of several boxes of one category around one object: what a person would have to reject again.

    Evaluation sees them all, as the published protocols want it.
    """
    return detections.with_nms(threshold=DOUBLES_IOU) if len(detections) else detections
