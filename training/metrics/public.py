"""Public benchmarks, asked and scored from the files they come in, by the protocols of the published numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from common.images import ImageRGB
from training.errors import LayoutRefused
from training.metrics.benchmarks import (
    evaluate_coco,
    evaluate_described,
    evaluate_lvis,
    evaluate_odinw,
    pictures_in,
)
from training.metrics.captions import evaluate_expressions, evaluate_phrases
from training.metrics.coco import Evaluation
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
        return pictures_in(self.images or self.annotations.parent)(image)


Progress = Callable[[int, int], None]


def evaluate_public(
    detector: "Detector", place: Place, *, threshold: float = THRESHOLD, progress: Progress | None = None
) -> Evaluation:
    """Score a detector on a public benchmark.

    COCO and ODinW (mean over the datasets) ask for all names, in as few prompts as they fit; LVIS (fixed AP) for 40 at
    a time; D3 for the sentences of the image's group in as few prompts (the "concatenated" setting); Flickr30k Entities
    and the RefCOCO family one caption at a time.

    Args:
        detector: what is measured.
        place: the benchmark's files.
        threshold: of gRefCOCO's metrics.
        progress: called with (done, in all): images, captions or expressions; of ODinW those of one dataset.

    Raises:
        LayoutRefused: a file is not of the layout, or there is nothing in it to measure on.
        ImageRefused: a picture can't be read, or is not of the size its labels say.
    """
    file, picture = place.annotations, place.picture
    if place.layout == "coco":
        whole = read_coco(file)
        _some(whole.samples, file)
        return evaluate_coco(detector, whole, picture, progress=progress)
    if place.layout == "lvis":
        federated = read_lvis(file)
        _some(federated.samples, file)
        return evaluate_lvis(detector, federated, picture, progress=progress)
    if place.layout == "odinw":
        return evaluate_odinw(detector, read_odinw(file), progress=progress)
    if place.layout == "d3":
        described = read_d3(file)
        _some(described.samples, file)
        return evaluate_described(detector, described, picture, progress=progress)
    if place.layout == "flickr":
        return evaluate_phrases(detector, _some(read_flickr(file), file), picture, progress=progress)
    samples = read_refcoco(file) if place.layout == "refcoco" else read_grefcoco(file)
    return evaluate_expressions(detector, _some(samples, file), picture, threshold=threshold, progress=progress)


def _some(samples: Sequence[Sample], file: Path) -> Sequence[Sample]:
    if not samples:
        raise LayoutRefused(f"{file.name} has nothing to measure on. Name the file of the split you want.")
    return samples
