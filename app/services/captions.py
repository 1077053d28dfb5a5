"""How well a detector grounds the captions and expressions of a dataset, and does on public benchmarks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from annotations import queries
from annotations.captions import CaptionedImage, captioned_images
from annotations.database import Store
from annotations.errors import NotFound
from annotations.models import Split
from app.services.evaluating import EvaluationDocument
from app.services.models import Models
from common.images import ImageRGB, read_indexed

if TYPE_CHECKING:
    from training.metrics.public import Place
    from training.metrics.readers.samples import ImageFile, PhraseSample, ReferringSample

TextTask = Literal["ground", "refer"]
_KINDS: Mapping[TextTask, str] = {"ground": "caption", "refer": "expression"}


def evaluate_captions(
    store: Store,
    models: Models,
    dataset_name: str,
    split: Split | None,
    task: TextTask,
    *,
    threshold: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationDocument:
    """Score the current detector on the texts of a dataset, as `training.metrics.captions` does.

    Args:
        store: where the dataset is.
        models: the detector in use is measured.
        dataset_name: which dataset.
        split: None: all its images with texts.
        task: "ground": the phrases of captions; "refer": expressions.
        threshold: from which score on a box answers an expression; None: that of published numbers.
        progress: called with (texts done, texts in all).

    Raises:
        NotFound: no such dataset, or no such text in the split.
        ImageRefused: an image can't be read, or is not of the size it was labelled at.
        PromptError: a text that the detector can't read.
    """
    from training.metrics.captions import evaluate_expressions, evaluate_phrases
    from training.metrics.referring import THRESHOLD

    with store.reading() as session:
        dataset_id = queries.dataset_by_name(session, dataset_name).id
        images = captioned_images(session, dataset_id, split)
    picture_of = _Pictures(images)
    phrases, expressions = _phrase_samples(images), _referring_samples(images)
    if not (phrases if task == "ground" else expressions):
        where = f"the {split!r} split of {dataset_name!r}" if split else f"dataset {dataset_name!r}"
        raise NotFound(f"There is no {_KINDS[task]} in {where}: import some with --format odvg, or choose another.")
    count = len({sample.image for sample in (phrases if task == "ground" else expressions)})
    detector = models.detector()
    with models.device():
        if task == "ground":
            found = evaluate_phrases(detector, phrases, picture_of, progress=progress)
        else:
            found = evaluate_expressions(
                detector,
                expressions,
                picture_of,
                threshold=THRESHOLD if threshold is None else threshold,
                progress=progress,
            )
    return EvaluationDocument(detector.name, dataset_name, split, count, found.metrics, found.per_category, task=task)


def evaluate_benchmark(
    models: Models,
    place: "Place",
    *,
    threshold: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationDocument:
    """Score the current detector on a public benchmark's files; nothing is imported.

    Raises:
        LayoutRefused: a file is not of the layout.
        ImageRefused: a picture can't be read, or is not of the size its labels say.
    """
    from training.metrics.public import TASKS, evaluate_public
    from training.metrics.referring import THRESHOLD

    chosen = THRESHOLD if threshold is None else threshold
    detector = models.detector()
    with models.device():
        found = evaluate_public(detector, place, threshold=chosen, progress=progress)
    name = f"{place.layout} {place.annotations.name}"
    task = TASKS[place.layout]
    return EvaluationDocument(detector.name, name, None, found.images, found.metrics, found.per_category, task=task)


class _Pictures:
    """Reads the pictures of samples by the names that the dataset gives them."""

    def __init__(self, images: Sequence[CaptionedImage]) -> None:
        self._paths = {image.file_name: Path(image.path) for image in images}

    def __call__(self, image: "ImageFile") -> ImageRGB:
        return read_indexed(self._paths[image.file_name], image.width, image.height)


def _phrase_samples(images: Sequence[CaptionedImage]) -> "list[PhraseSample]":
    from training.metrics.phrases import PhraseLabels
    from training.metrics.readers.samples import ImageFile, PhraseSample

    return [
        PhraseSample(
            ImageFile(image.file_name, image.width, image.height),
            text.text,
            tuple(phrase.spans for phrase in text.phrases),
            PhraseLabels(tuple(phrase.boxes_xyxy for phrase in text.phrases)),
        )
        for image in images
        for text in image.captions
        if text.kind == "caption"
    ]


def _referring_samples(images: Sequence[CaptionedImage]) -> "list[ReferringSample]":
    import numpy as np

    from training.metrics.readers.samples import ImageFile, ReferringSample

    nothing = np.zeros((0, 4), np.float32)
    return [
        ReferringSample(
            ImageFile(image.file_name, image.width, image.height),
            text.text,
            text.phrases[0].boxes_xyxy if text.phrases else nothing,
            image.split or "",
        )
        for image in images
        for text in image.captions
        if text.kind == "expression"
    ]
