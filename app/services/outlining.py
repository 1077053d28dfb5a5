"""Masks for clicks and boxes on an image, and for what a detector found."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from annotations import queries
from annotations.database import Store
from app.services.models import Models
from app.services.turns import Urgency
from common.boxes import Boxes
from common.images import ImageRGB, read_indexed
from common.masks import Rle, encode_mask

_WARM_UP_PX = 64


class Outliner:
    """Uses the segmenter; a second click on an image costs neither its reading nor its encoder.

    Attributes:
        is_used: whether somebody has wanted a mask so far.
    """

    def __init__(self, store: Store, models: Models) -> None:
        self._store = store
        self._models = models
        self._looked_at: int | None = None  # the image the segmenter holds
        self.is_used = False

    def segment(
        self,
        image_id: int,
        boxes: Sequence[Sequence[float]] | None,
        points: Sequence[Sequence[float]] | None,
        labels: Sequence[int] | None,
    ) -> list[Rle]:
        """Masks for boxes, or one mask for points (label 1: on the object, 0: not on it)."""
        self.is_used = True
        with self._models.device(Urgency.CLICK):
            self._open(image_id)
            masks = self._models.segmenter().predict(
                boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4) if boxes else None,
                points_xy=np.array([points], np.float32) if points else None,
                point_labels=np.array([labels], np.int64) if points else None,
            )
        return [encode_mask(mask) for mask in masks]

    def outlines(self, image: ImageRGB, boxes: Boxes) -> list[Rle]:
        """The mask of each box; who calls it has the device."""
        from engine.segmenters.outlines import outlines

        self.is_used = True
        self._looked_at = None
        return outlines(self._models.segmenter(), image, boxes)

    def look(self, image_id: int, image: ImageRGB) -> None:
        """Show the segmenter an image unless it looks at it already; who calls it has the device."""
        if self._looked_at != image_id:
            self._looked_at = None
            self._models.segmenter().set_image(image)
            self._looked_at = image_id

    def warm_up(self) -> None:
        """Load the segmenter and run it once, so that the first click need not wait for it.

        Raises:
            engine.errors.EngineError: it can't be loaded.
        """
        segmenter = self._models.segmenter()
        with self._models.device(Urgency.IDLE):
            if self._looked_at is None:
                segmenter.set_image(np.zeros((_WARM_UP_PX, _WARM_UP_PX, 3), np.uint8))
                segmenter.predict(boxes_xyxy=np.array([[0, 0, _WARM_UP_PX, _WARM_UP_PX]], np.float32))

    def _open(self, image_id: int) -> None:
        """Show the segmenter an image of the database."""
        if self._looked_at != image_id:
            with self._store.reading() as session:
                row = queries.image_by_id(session, image_id)
            self.look(image_id, read_indexed(Path(row.path), row.width, row.height))
