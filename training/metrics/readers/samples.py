"""What a benchmark asks about each of its images, as values."""

from dataclasses import dataclass
from pathlib import Path

from common.boxes import Boxes
from training.metrics.coco import Labels
from training.metrics.described import Sentence
from training.metrics.lvis import FederatedCategory, FederatedLabels
from training.metrics.phrases import PhraseLabels

Span = tuple[int, int]  # characters [start, end)


@dataclass(frozen=True)
class ImageFile:
    """A picture as a benchmark's file names it.

    Attributes:
        file_name: relative to the benchmark's folder of images, posix; it stays within that folder.
        width: pixels.
        height: pixels.
    """

    file_name: str
    width: int
    height: int


@dataclass(frozen=True)
class DetectionSample:
    """One image with its labels; classes index the set's names."""

    image: ImageFile
    labels: Labels


@dataclass(frozen=True)
class DetectionSet:
    """A dataset whose every image is labelled with every category.

    Attributes:
        name: what people call it.
        names: of the categories, in the file's order.
        samples: one per image, those without labels too.
        images_dir: where its pictures are, if the layout says so.
    """

    name: str
    names: tuple[str, ...]
    samples: tuple[DetectionSample, ...]
    images_dir: Path | None = None


@dataclass(frozen=True)
class FederatedSample:
    """One image with its labels and with what they say nothing about."""

    image: ImageFile
    labels: FederatedLabels


@dataclass(frozen=True)
class FederatedSet:
    """A dataset whose images each speak of a part of the categories, as LVIS."""

    categories: tuple[FederatedCategory, ...]
    samples: tuple[FederatedSample, ...]


@dataclass(frozen=True)
class PhraseSample:
    """One caption of an image.

    Attributes:
        image: several captions share one.
        caption: as people wrote it.
        spans: characters of each phrase that is scored; a phrase may stand in several pieces.
        labels: the boxes of each phrase, in the same order.
    """

    image: ImageFile
    caption: str
    spans: tuple[tuple[Span, ...], ...]
    labels: PhraseLabels


@dataclass(frozen=True)
class ReferringSample:
    """One expression about an image.

    Attributes:
        image: several expressions share one.
        expression: as people wrote it.
        boxes_xyxy: (N, 4) pixels of what it means; N is 0 where it means nothing that is there.
        split: dataset and split, such as "refcoco testA".
    """

    image: ImageFile
    expression: str
    boxes_xyxy: Boxes
    split: str


@dataclass(frozen=True)
class DescribedSample:
    """One image with its labels; classes and `group` index the set's sentences.

    Attributes:
        image: the picture.
        labels: the boxes of each sentence.
        group: the sentences that are asked about this image.
    """

    image: ImageFile
    labels: Labels
    group: frozenset[int]


@dataclass(frozen=True)
class DescribedSet:
    """A dataset whose categories are sentences, as D3."""

    sentences: tuple[Sentence, ...]
    samples: tuple[DescribedSample, ...]
