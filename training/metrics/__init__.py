"""Says how good a detector is, by the metrics of the field. Knows no training loop and no page."""

from training.metrics.coco import COCO_METRICS, Evaluation, Labels, Predictions, coco_metrics, evaluate_detector
from training.metrics.described import Sentence, described_ap
from training.metrics.lvis import FederatedCategory, FederatedLabels, lvis_fixed_ap
from training.metrics.odinw import odinw_average
from training.metrics.phrases import PhraseLabels, phrase_recall
from training.metrics.referring import generalized_referring, referring_precision

__all__ = [
    "COCO_METRICS",
    "Evaluation",
    "FederatedCategory",
    "FederatedLabels",
    "Labels",
    "PhraseLabels",
    "Predictions",
    "Sentence",
    "coco_metrics",
    "described_ap",
    "evaluate_detector",
    "generalized_referring",
    "lvis_fixed_ap",
    "odinw_average",
    "phrase_recall",
    "referring_precision",
]
