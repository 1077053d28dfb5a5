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
Measure = Callable[["Detector", Progress | None], Evaluation]
"""Called with (done, in all): images, captions or expressions; of ODinW those of one dataset."""


def evaluate_public(
    detector: "Detector",
    place: Place,
    *,
    threshold: float = THRESHOLD,
    parallel: bool = False,
    thirteen: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a detector on a public benchmark; arguments and errors as those of `read_public`.

    Raises:
        ImageRefused: a picture can't be read, or is not of the size its labels say.
    """
    return read_public(place, threshold=threshold, parallel=parallel, thirteen=thirteen)(detector, progress)


def read_public(
    place: Place, *, threshold: float = THRESHOLD, parallel: bool = False, thirteen: bool = False
) -> Measure:
    """Read a benchmark's files; what comes back scores a detector on them, when there is one.

    COCO and ODinW (mean over the datasets) ask for all names, in as few prompts as they fit; LVIS (fixed AP) for 40 at
    a time; D3 for the sentences of the image's group, in as few prompts or one by one; Flickr30k Entities and the
    RefCOCO family one caption at a time.

    Args:
        place: the benchmark's files.
        threshold: of gRefCOCO's metrics.
        parallel: D3's sentences one by one; see `evaluate_described`.
        thirteen: of ODinW only the thirteen datasets of GLIP's tables.

    Raises:
        LayoutRefused: a file is not of the layout, or there is nothing in it to measure on.
    """
    file, picture = place.annotations, place.picture
    if place.layout == "coco":
        whole = read_coco(file)
        _some(whole.samples, file)
        return lambda detector, progress: evaluate_coco(detector, whole, picture, progress=progress)
    if place.layout == "lvis":
        federated = read_lvis(file)
        _some(federated.samples, file)
        return lambda detector, progress: evaluate_lvis(detector, federated, picture, progress=progress)
    if place.layout == "odinw":
        sets = _some(list(read_odinw(file, thirteen=thirteen)), file)
        return lambda detector, progress: evaluate_odinw(detector, sets, progress=progress)
    if place.layout == "d3":
        described = read_d3(file)
        _some(described.samples, file)
        return lambda detector, progress: evaluate_described(
            detector, described, picture, parallel=parallel, progress=progress
        )
    if place.layout == "flickr":
        captions = _some(read_flickr(file), file)
        return lambda detector, progress: evaluate_phrases(detector, captions, picture, progress=progress)
    samples = _some(read_refcoco(file) if place.layout == "refcoco" else read_grefcoco(file), file)
    return lambda detector, progress: evaluate_expressions(
        detector, samples, picture, threshold=threshold, progress=progress
    )


def _some(samples: Sequence[Sample], file: Path) -> Sequence[Sample]:
    if not samples:
        raise LayoutRefused(f"{file.name} has nothing to measure on. Name the file of the split you want.")
    return samples
