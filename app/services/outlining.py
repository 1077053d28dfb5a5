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


class Outliner:
    """Uses the segmenter; a second click on an image costs neither its reading nor its encoder."""

    def __init__(self, store: Store, models: Models) -> None:
        self._store = store
        self._models = models
        self._looked_at: int | None = None  # the image the segmenter holds

    def segment(
        self,
        image_id: int,
        boxes: Sequence[Sequence[float]] | None,
        points: Sequence[Sequence[float]] | None,
        labels: Sequence[int] | None,
    ) -> list[Rle]:
        """Masks for boxes, or one mask for points (label 1: on the object, 0: not on it)."""
        with self._models.device(Urgency.CLICK):
            self._look(image_id)
            masks = self._models.segmenter().predict(
                boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4) if boxes else None,
                points_xy=np.array([points], np.float32) if points else None,
                point_labels=np.array([labels], np.int64) if points else None,
            )
        return [encode_mask(mask) for mask in masks]

    def outlines(self, image: ImageRGB, boxes: Boxes) -> list[Rle]:
        """The mask of each box; who calls it has the device."""
        from engine.segmenters.outlines import outlines

        self._looked_at = None
        return outlines(self._models.segmenter(), image, boxes)

    def _look(self, image_id: int) -> None:
        """Show the segmenter an image unless it looks at it already."""
        if self._looked_at == image_id:
            return
        with self._store.reading() as session:
            row = queries.image_by_id(session, image_id)
        self._looked_at = None
        self._models.segmenter().set_image(read_indexed(Path(row.path), row.width, row.height))
        self._looked_at = image_id
