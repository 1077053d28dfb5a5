"""What segmenters share that take one prompt after the other and look at a picture only when asked."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes
from engine.preprocessing import Picture
from engine.segmenters.base import Labels, MaskPrompts, Masks, Points


class OneByOne(ABC):
    """A `Segmenter` but for its name and for `segment`, the mask of one object."""

    def __init__(self) -> None:
        self._image: Picture | None = None

    def set_image(self, image: Picture) -> None:
        """Look at a picture, (H, W, 3) uint8 RGB; nothing is computed before something is asked about it."""
        self._image = image

    def predict(
        self,
        *,
        boxes_xyxy: Boxes | None = None,
        points_xy: Points | None = None,
        point_labels: NDArray[np.integer] | None = None,
    ) -> Masks:
        """A mask for each prompt; with a box inside it and never empty; see `Segmenter.predict`."""
        prompts = MaskPrompts.checked(self._image, boxes_xyxy, points_xy, point_labels)
        assert self._image is not None
        masks = np.zeros((len(prompts), *self._image.shape[:2]), dtype=np.bool_)
        for index, mask in enumerate(masks):
            box = None if prompts.boxes_xyxy is None else prompts.boxes_xyxy[index]
            points = None if prompts.points_xy is None else prompts.points_xy[index]
            labels = None if prompts.point_labels is None else prompts.point_labels[index]
            self.segment(self._image, box, points, labels, mask)
        return masks

    @abstractmethod
    def segment(
        self, image: Picture, box: Boxes | None, points: Points | None, labels: Labels | None, out: Masks
    ) -> None:
        """Write the mask of one object into `out`.

        Args:
            image: (H, W, 3) uint8 RGB.
            box: (4,) xyxy pixels, if there is one.
            points: (P, 2) pixels, if there are any.
            labels: (P,), 1 on the object and 0 beside it.
            out: (H, W), all false.
        """
