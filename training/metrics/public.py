"""Public benchmarks, asked and scored from the files they come in, by the protocols of the published numbers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from common.images import ImageRGB, read_indexed
from training.errors import LayoutRefused
from training.metrics.captions import evaluate_expressions, evaluate_phrases
from training.metrics.coco import Evaluation, Predictions, coco_metrics, predictions_of
from training.metrics.described import described_ap
from training.metrics.lvis import lvis_fixed_ap
from training.metrics.odinw import odinw_average
from training.metrics.readers import (
    ImageFile,
    read_coco,
    read_d3,
    read_flickr,
    read_grefcoco,
    read_lvis,
    read_odinw,
    read_refcoco,
)
from training.metrics.referring import THRESHOLD

if TYPE_CHECKING:
    from engine.detector import Detector

Sample = TypeVar("Sample")

Layout = Literal["coco", "lvis", "odinw", "flickr", "refcoco", "grefcoco", "d3"]

TASKS: dict[Layout, str] = {
    "coco": "detect", "lvis": "detect", "odinw": "detect", "d3": "detect",
    "flickr": "ground", "refcoco": "refer", "grefcoco": "refer",
}  # fmt: skip
"""What each asks of a detector."""

BOXES = 300
"""Of an image that count, over all categories."""

LVIS_BOXES = 9300
"""300 for each of the 31 prompts of 40 names of the published numbers; here of the whole image."""


@dataclass(frozen=True)
class Place:
    """Where a benchmark lies.

    Attributes:
        layout: which benchmark's files these are.
        annotations: its JSON file; of ODinW the folder that holds the datasets.
        images: the folder that file names are relative to; None: the annotations' own folder.
    """

    layout: Layout
    annotations: Path
    images: Path | None = None

    def picture(self, image: ImageFile) -> ImageRGB:
        """The picture of a sample.

        Raises:
            ImageRefused: it can't be read, or is not of the size its labels say.
        """
        return read_indexed((self.images or self.annotations.parent) / image.file_name, image.width, image.height)


Progress = Callable[[int, int], None]


def evaluate_public(
    detector: "Detector", place: Place, *, threshold: float = THRESHOLD, progress: Progress | None = None
) -> Evaluation:
    """Score a detector on a public benchmark.

    COCO, LVIS (fixed AP) and ODinW (mean over the datasets) ask for all names, in as few prompts as they fit; D3 for
    the sentences of the image's group in as few prompts (the "concatenated" setting); Flickr30k Entities and the
    RefCOCO family one caption at a time.

    Args:
        detector: what is measured.
        place: the benchmark's files.
        threshold: of gRefCOCO's metrics.
        progress: called with (done, in all): images, captions or expressions; of ODinW those of one dataset.

    Raises:
        LayoutRefused: a file is not of the layout, or there is nothing in it to measure on.
        ImageRefused: a picture can't be read, or is not of the size its labels say.
    """
    file = place.annotations
    if place.layout == "coco":
        return _coco(detector, place, progress)
    if place.layout == "lvis":
        return _lvis(detector, place, progress)
    if place.layout == "odinw":
        return _odinw(detector, place, progress)
    if place.layout == "d3":
        return _d3(detector, place, progress)
    if place.layout == "flickr":
        return evaluate_phrases(detector, _some(read_flickr(file), file), place.picture, progress=progress)
    samples = read_refcoco(file) if place.layout == "refcoco" else read_grefcoco(file)
    return evaluate_expressions(detector, _some(samples, file), place.picture, threshold=threshold, progress=progress)


def _coco(detector: "Detector", place: Place, progress: Progress | None) -> Evaluation:
    dataset = read_coco(place.annotations)
    samples = _some(dataset.samples, place.annotations)
    found = _asked(detector, place, [sample.image for sample in samples], dataset.names, progress)
    return coco_metrics([sample.labels for sample in samples], found, dataset.names)


def _lvis(detector: "Detector", place: Place, progress: Progress | None) -> Evaluation:
    dataset = read_lvis(place.annotations)
    samples = _some(dataset.samples, place.annotations)
    names = [category.name for category in dataset.categories]
    found = _asked(detector, place, [sample.image for sample in samples], names, progress, boxes=LVIS_BOXES)
    return lvis_fixed_ap([sample.labels for sample in samples], found, dataset.categories)


def _odinw(detector: "Detector", place: Place, progress: Progress | None) -> Evaluation:
    evaluations = {}
    for dataset in read_odinw(place.annotations):
        own = Place("coco", place.annotations, dataset.images_dir)
        found = _asked(detector, own, [sample.image for sample in dataset.samples], dataset.names, progress)
        evaluations[dataset.name] = coco_metrics([sample.labels for sample in dataset.samples], found, dataset.names)
    return odinw_average(evaluations)


def _d3(detector: "Detector", place: Place, progress: Progress | None) -> Evaluation:
    dataset = read_d3(place.annotations)
    samples = _some(dataset.samples, place.annotations)
    texts = [sentence.text for sentence in dataset.sentences]
    found = []
    for count, sample in enumerate(samples, start=1):
        group = sorted(sample.group)
        (answer,) = _asked(detector, place, [sample.image], [texts[index] for index in group], None)
        found.append(Predictions(answer.boxes_xyxy, np.array(group, np.int64)[answer.classes], answer.scores))
        if progress is not None:
            progress(count, len(samples))
    return described_ap(
        [sample.labels for sample in samples], found, dataset.sentences, [sample.group for sample in samples]
    )


def _asked(
    detector: "Detector",
    place: Place,
    images: Sequence[ImageFile],
    names: Sequence[str],
    progress: Progress | None,
    boxes: int = BOXES,
) -> list[Predictions]:
    """The best boxes of each image, all names asked for; `classes` index the names."""
    from engine.ontology import Category, Ontology, clean_phrase

    owners: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        owners.setdefault(clean_phrase(plain_name(name)), []).append(index)
    ontology = Ontology(tuple(Category(phrase) for phrase in owners))
    found = []
    for count, image in enumerate(images, start=1):
        (detections,) = detector.detect([place.picture(image)], ontology, threshold=0.0, top_k=boxes)
        found.append(_for_all(predictions_of(detections), list(owners.values())))
        if progress is not None:
            progress(count, len(images))
    return found


def plain_name(name: str) -> str:
    """A name as it is asked for: without what stands in brackets, '_' as a space ("bow_(weapon)" as "bow")."""
    plain = re.sub(r"\([^)]*\)", " ", name).replace("_", " ").strip()
    return plain or name


def _for_all(found: Predictions, owners: Sequence[Sequence[int]]) -> Predictions:
    """What was found of each phrase, as found of every name that is asked for by it."""
    if all(len(indices) == 1 for indices in owners):
        return found
    rows = [(row, index) for row, phrase in enumerate(found.classes.tolist()) for index in owners[phrase]]
    kept = np.array([row for row, _ in rows], np.int64)
    classes = np.array([index for _, index in rows], np.int64)
    return Predictions(found.boxes_xyxy[kept], classes, found.scores[kept])


def _some(samples: Sequence[Sample], file: Path) -> Sequence[Sample]:
    if not samples:
        raise LayoutRefused(f"{file.name} has nothing to measure on. Name the file of the split you want.")
    return samples
