"""Says how good a detector is, by the metrics of the field. Knows no training loop and no page."""

from training.metrics.coco import Evaluation, Labels, Predictions, coco_metrics, evaluate_detector

__all__ = ["Evaluation", "Labels", "Predictions", "coco_metrics", "evaluate_detector"]
