"""Asks a detector what captions and expressions mean, one picture after the other, and scores the answers."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from common.images import ImageRefused, ImageRGB
from engine.errors import PromptError
from training.metrics.coco import Evaluation, Predictions, predictions_of
from training.metrics.phrases import phrase_recall
from training.metrics.readers.samples import ImageFile, PhraseSample, ReferringSample
from training.metrics.referring import THRESHOLD, generalized_referring, referring_precision

if TYPE_CHECKING:
    from engine.detector import Caption, Detector

PictureOf = Callable[[ImageFile], ImageRGB]
"""Reads the picture of a sample."""

OnSkip = Callable[[str], None]
"""Told in a line why a text is left out."""

Sample = TypeVar("Sample", PhraseSample, ReferringSample)

MOST_ANSWERS = 300
"""Boxes of one caption, over all its phrases, or of one expression: as many as the published protocols keep."""


def evaluate_phrases(
    detector: "Detector",
    samples: Sequence[PhraseSample],
    picture_of: PictureOf,
    *,
    progress: Callable[[int, int], None] | None = None,
    on_skip: OnSkip | None = None,
) -> Evaluation:
    """Phrase grounding: the phrases of each caption are asked for, and the 300 best pairs of box and phrase ranked.

    Args:
        detector: what is measured.
        samples: captions with their phrases; those of one image best side by side, so that it is read once.
        picture_of: reads a sample's picture.
        progress: called with (captions done, captions in all).
        on_skip: called for a caption whose picture or text can't be read, which is left out; None: it is an error.

    Returns:
        Metrics "R@1", "R@5", "R@10" (any-box) and the same after "merged " (merged-box: the boxes of a phrase count as
        the one around them); per phrase type, where given, the any-box ones. `images` counts captions asked for.

    Raises:
        ImageRefused: a picture can't be read, or is not of the size it was labelled at.
        PromptError: a caption longer than the detector reads.
    """

    def ask(sample: PhraseSample, picture: ImageRGB) -> Predictions:
        (detections,) = detector.ground([picture], [_caption(sample)], threshold=0.0, top_k=MOST_ANSWERS)
        return _ranked(predictions_of(detections), len(sample.spans))

    asked, found = _answered(samples, picture_of, ask, progress, on_skip)
    labels = [sample.labels for sample in asked]
    any_box, merged = phrase_recall(labels, found), phrase_recall(labels, found, merged=True)
    metrics = {**any_box.metrics, **{f"merged {name}": value for name, value in merged.metrics.items()}}
    return Evaluation(metrics, any_box.per_category, any_box.images)


def evaluate_expressions(
    detector: "Detector",
    samples: Sequence[ReferringSample],
    picture_of: PictureOf,
    *,
    threshold: float = THRESHOLD,
    progress: Callable[[int, int], None] | None = None,
    on_skip: OnSkip | None = None,
) -> Evaluation:
    """Referring expressions: the best boxes of each against what it means.

    Args:
        detector: what is measured.
        samples: expressions; those of one image best side by side.
        picture_of: reads a sample's picture.
        threshold: from which score on a box is an answer, for the metrics of expressions without a target.
        progress: called with (expressions done, expressions in all).
        on_skip: called for an expression whose picture or text can't be read, which is left out; None: it is an error.

    Returns:
        Metrics "P@1", "P@5", "P@10" over the expressions that mean one object. Where some mean none or several, also
        "P@F1", "N-acc", "T-acc" and "threshold" over all of them, and rows "threshold 0.5" to "threshold 0.8" of the
        same. Per split, where there is more than one, the precisions. `images` counts expressions asked
        for.

    Raises:
        ImageRefused: a picture can't be read, or is not of the size it was labelled at.
        PromptError: an expression longer than the detector reads, or without a word.
    """

    def ask(sample: ReferringSample, picture: ImageRGB) -> Predictions:
        (detections,) = detector.refer([picture], [sample.expression], threshold=0.0, top_k=MOST_ANSWERS)
        return predictions_of(detections)

    samples, found = _answered(samples, picture_of, ask, progress, on_skip)
    single = [index for index, sample in enumerate(samples) if len(sample.boxes_xyxy) == 1]
    splits = [samples[index].split for index in single]
    precision = referring_precision(
        [samples[index].boxes_xyxy for index in single],
        [found[index] for index in single],
        splits if len(set(splits)) > 1 else None,
    )
    metrics, rows = dict(precision.metrics), dict(precision.per_category)
    if len(single) < len(samples):
        general = generalized_referring([sample.boxes_xyxy for sample in samples], found, threshold=threshold)
        metrics |= general.metrics
        rows |= {f"threshold {value}": row for value, row in general.per_category.items()}
    return Evaluation(metrics, rows, len(samples))


def _answered(
    samples: Sequence[Sample],
    picture_of: PictureOf,
    ask: Callable[[Sample, ImageRGB], Predictions],
    progress: Callable[[int, int], None] | None,
    on_skip: OnSkip | None,
) -> tuple[list[Sample], list[Predictions]]:
    """The samples that could be asked for, with the answers; a picture is read once for neighbours of one image."""
    asked: list[Sample] = []
    found: list[Predictions] = []
    shown: tuple[ImageFile, ImageRGB] | None = None
    for count, sample in enumerate(samples, start=1):
        try:
            if shown is None or shown[0] != sample.image:
                shown = sample.image, picture_of(sample.image)
            found.append(ask(sample, shown[1]))
            asked.append(sample)
        except (ImageRefused, PromptError) as refusal:
            if on_skip is None:
                raise
            on_skip(str(refusal))
        if progress is not None:
            progress(count, len(samples))
    return asked, found


def _caption(sample: PhraseSample) -> "Caption":
    from engine.detector import Caption  # supervision: not needed to read metrics

    owned = [(span, phrase) for phrase, spans in enumerate(sample.spans) for span in spans]
    return Caption(sample.caption, tuple(span for span, _ in owned), tuple(phrase for _, phrase in owned))


def _ranked(found: Predictions, phrases: int) -> Predictions:
    """The ten best boxes of each phrase: no rank beyond is asked for, and a caption may have thousands."""
    best = [np.flatnonzero(found.classes == phrase)[:10] for phrase in range(phrases)]
    rows = np.concatenate([np.zeros(0, np.int64), *best])
    return Predictions(found.boxes_xyxy[rows], found.classes[rows], found.scores[rows])
