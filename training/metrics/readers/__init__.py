"""Reads the files public benchmarks come in as plain values. Knows no detector and opens no picture.

JSON alone is read: the pickles that some benchmarks also come in could run code.
"""

from training.metrics.readers.coco import read_coco
from training.metrics.readers.d3 import read_d3
from training.metrics.readers.flickr import read_flickr
from training.metrics.readers.lvis import read_lvis
from training.metrics.readers.odinw import read_odinw
from training.metrics.readers.refcoco import read_grefcoco, read_refcoco
from training.metrics.readers.samples import (
    DescribedSample,
    DescribedSet,
    DetectionSample,
    DetectionSet,
    FederatedSample,
    FederatedSet,
    ImageFile,
    PhraseSample,
    ReferringSample,
)

__all__ = [
    "DescribedSample",
    "DescribedSet",
    "DetectionSample",
    "DetectionSet",
    "FederatedSample",
    "FederatedSet",
    "ImageFile",
    "PhraseSample",
    "ReferringSample",
    "read_coco",
    "read_d3",
    "read_flickr",
    "read_grefcoco",
    "read_lvis",
    "read_odinw",
    "read_refcoco",
]
