"""How good a detector is on the texts of captioned images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from annotations.captions import CaptionedImage, CaptionText
from common.boxes import Boxes
from common.images import ImageRGB, read_indexed
from engine.detector import Caption
from engine.errors import PromptError
from engine.grounding import GroundingDetector
from training.metrics.coco import Evaluation, Predictions
from training.metrics.phrases import PhraseLabels, phrase_recall
from training.metrics.referring import referring_precision


def evaluate_texts(detector: GroundingDetector, images: Sequence[CaptionedImage]) -> Evaluation:
    """Ask for every caption's phrases and every expression, and score the boxes at an overlap of 0.5.

    Texts the detector can't read are left out, and so are expressions that mean several things or none: precision
    at 1 says nothing of them.

    Returns:
        Metrics "R@1", "R@5", "R@10" of phrases and "P@1" of expressions, where there are such; "AP" and "AP50" None,
        as nothing is asked for by category.

    Raises:
        ImageRefused: an image can't be read.
    """
    phrases: list[tuple[PhraseLabels, Predictions]] = []
    meant: list[tuple[Boxes, Predictions]] = []
    for image in images:
        pixels = read_indexed(Path(image.path), image.width, image.height)
        for text in image.captions:
            try:
                if text.kind == "caption":
                    labels = PhraseLabels(tuple(phrase.boxes_xyxy for phrase in text.phrases))
                    phrases.append((labels, _grounded(detector, pixels, text)))
                elif text.phrases and len(text.phrases[0].boxes_xyxy) == 1:
                    meant.append((text.phrases[0].boxes_xyxy, _referred(detector, pixels, text)))
            except PromptError:
                continue
    metrics: dict[str, float | None] = {"AP": None, "AP50": None}
    if phrases:
        metrics |= phrase_recall([label for label, _ in phrases], [found for _, found in phrases]).metrics
    if meant:
        scored = referring_precision([box for box, _ in meant], [found for _, found in meant])
        metrics["P@1"] = scored.metrics["P@1"]
    return Evaluation(metrics, {}, len(images))


def _grounded(detector: GroundingDetector, pixels: ImageRGB, text: CaptionText) -> Predictions:
    """The boxes of each phrase; the spans of one phrase are asked for together and counted as one."""
    spans = tuple(span for phrase in text.phrases for span in phrase.spans)
    phrase_of = np.repeat(np.arange(len(text.phrases)), [len(phrase.spans) for phrase in text.phrases])
    (found,) = detector.ground([pixels], [Caption(text.text, spans)], threshold=0.0)
    classes = phrase_of[np.asarray(found.class_id, np.int64)]
    return Predictions(found.xyxy.astype(np.float32), classes, np.asarray(found.confidence, np.float32))


def _referred(detector: GroundingDetector, pixels: ImageRGB, text: CaptionText) -> Predictions:
    (found,) = detector.refer([pixels], [text.text], threshold=0.0)
    classes = np.zeros(len(found), np.int64)
    return Predictions(found.xyxy.astype(np.float32), classes, np.asarray(found.confidence, np.float32))
