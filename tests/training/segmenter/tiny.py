"""A segmenter small enough to train in a test."""

from training.segmenter.batches import MaskBatchRules
from training.segmenter.model import SegmenterSize

TINY = SegmenterSize(
    side=64, patch=8, width=16, heads=2, layers=2, window=4, everywhere=(1,), decoder_width=32, decoder_mlp=32
)


def tiny_rules() -> MaskBatchRules:
    return MaskBatchRules(pictures=2, boxes=3, clicks=2, size=TINY)
