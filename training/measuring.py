"""How good a detector is on the texts of captioned images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annotations.captions import CaptionedImage
from common.images import ImageRGB, read_indexed
from training.metrics.captions import OnSkip, evaluate_expressions, evaluate_phrases
from training.metrics.coco import Evaluation
from training.metrics.phrases import PhraseLabels
from training.metrics.readers.samples import ImageFile, PhraseSample, ReferringSample

if TYPE_CHECKING:
    from engine.detector import Detector


def evaluate_texts(
    detector: "Detector", images: Sequence[CaptionedImage], *, on_skip: OnSkip | None = None
) -> Evaluation:
    """Ask for every caption's phrases and every expression that means one thing; see `training.metrics.captions`.

    Texts the detector can't read, and those of pictures that can't be read, are left out.

    Args:
        detector: what is measured.
        images: with their texts.
        on_skip: called with the reason where a text is left out.

    Returns:
        Metrics "R@1", "R@5", "R@10" of phrases and "P@1" of expressions, where there are such; "AP" and "AP50" None,
        as nothing is asked for by category.
    """
    picture_of, skip = Pictures(images), on_skip or _nothing
    metrics: dict[str, float | None] = {"AP": None, "AP50": None}
    if phrases := phrase_samples(images):
        found = evaluate_phrases(detector, phrases, picture_of, on_skip=skip).metrics
        metrics |= {name: found[name] for name in ("R@1", "R@5", "R@10")}
    if meant := [sample for sample in referring_samples(images) if len(sample.boxes_xyxy) == 1]:
        metrics["P@1"] = evaluate_expressions(detector, meant, picture_of, on_skip=skip).metrics["P@1"]
    return Evaluation(metrics, {}, len(images))


class Pictures:
    """Reads the pictures of samples by the names that their dataset gives them, and notes which could be `read`."""

    def __init__(self, images: Sequence[CaptionedImage]) -> None:
        self.read: set[str] = set()
        self._paths = {image.file_name: Path(image.path) for image in images}

    def __call__(self, image: ImageFile) -> ImageRGB:
        """The picture of a sample.

        Raises:
            ImageRefused: it can't be read, or is not of the size it was labelled at.
        """
        picture = read_indexed(self._paths[image.file_name], image.width, image.height)
        self.read.add(image.file_name)
        return picture


def phrase_samples(images: Sequence[CaptionedImage]) -> list[PhraseSample]:
    """The captions with their phrases, those of one image side by side."""
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


def referring_samples(images: Sequence[CaptionedImage]) -> list[ReferringSample]:
    """The expressions with the boxes they mean, those of one image side by side."""
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


def _nothing(_reason: str) -> None:
    """Texts left out are not told."""
