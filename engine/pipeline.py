"""Text to boxes to masks: a detector and a segmenter joined (Grounded SAM, arXiv:2401.14159)."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from common.boxes import Boxes
from common.masks import Rle, encode_mask
from engine.detector import Detector
from engine.ontology import Ontology
from engine.preprocessing import Picture
from engine.segmenters.base import MaskPrompts, Points, Segmenter

_MASKS_AT_ONCE = 16  # of a picture, held unpacked by `outline`


class GroundedSegmenter:
    """Finds what words describe and outlines each find.

    The segmenter is its own: it remembers which picture it looked at last, so that clicks on one picture
    pay for the image encoder once. Threads may share this object.

    Attributes:
        detector: text to boxes.
        segmenter: boxes and points to masks.
    """

    def __init__(self, detector: Detector, segmenter: Segmenter) -> None:
        self.detector = detector
        self.segmenter = segmenter
        self._lock = threading.Lock()
        self._seen: Picture | None = None

    def detect(
        self, images: Sequence[Picture], ontology: Ontology, *, threshold: float = 0.3, top_k: int = 300
    ) -> list[sv.Detections]:
        """`Detector.detect` with `mask` (N, H, W) bool on every result, empty ones too.

        Raises:
            PromptError: a category that the detector cannot read.
        """
        results = self.detector.detect(images, ontology, threshold=threshold, top_k=top_k)
        for image, found in zip(images, results, strict=True):
            if len(found):
                with self._lock:
                    self._look(image)
                    found.mask = self.segmenter.predict(boxes_xyxy=found.xyxy.astype(np.float32))
            else:
                found.mask = np.zeros((0, *image.shape[:2]), dtype=np.bool_)
        return results

    def outline(
        self,
        image: Picture,
        *,
        boxes_xyxy: Boxes | None = None,
        points_xy: Points | None = None,
        point_labels: NDArray[np.integer] | None = None,
    ) -> Iterator[Rle]:
        """The mask of each prompt as COCO RLE, a few at a time: hundreds on a large picture fit into memory.

        The prompts are those of `Segmenter.predict`; a picture is known again by being the same array.

        Raises:
            EngineError: the prompts do not fit each other.
        """
        prompts = MaskPrompts.checked(image, boxes_xyxy, points_xy, point_labels)
        for part in prompts.in_parts(_MASKS_AT_ONCE):
            with self._lock:
                self._look(image)
                masks = self.segmenter.predict(
                    boxes_xyxy=part.boxes_xyxy, points_xy=part.points_xy, point_labels=part.point_labels
                )
            yield from (encode_mask(mask) for mask in masks)

    def _look(self, image: Picture) -> None:
        """Show the segmenter a picture unless it looks at it already."""
        if self._seen is not image:
            self.segmenter.set_image(image)
            self._seen = image


def rles(detections: sv.Detections) -> list[Rle]:
    """The masks of detections as COCO RLE, one an entry; none where there are no masks."""
    return [] if detections.mask is None else [encode_mask(mask) for mask in np.asarray(detections.mask)]
