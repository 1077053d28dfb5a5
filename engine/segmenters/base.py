"""What every segmenter can do, and the checks they share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes, clip
from engine.errors import EngineError
from engine.preprocessing import Picture

Masks = NDArray[np.bool_]  # (N, H, W)
Points = NDArray[np.float32]  # (N, P, 2): x, y in pixels
Labels = NDArray[np.int64]  # (N, P): 1 on the object, 0 beside it

EMBEDDINGS_BYTES = 256_000_000
"""Kept by a segmenter of the pictures it looked at last: some sixty of SAM's."""

_PIXELS_AT_ONCE = 64_000_000  # of masks held together as floats: 256 MB


class Segmenter(Protocol):
    """One picture at a time: `set_image` does the dear work once, `predict` answers many prompts about it.

    It remembers the picture, so who shares one between threads guards the two calls together.
    """

    @property
    def name(self) -> str:
        """What people call it."""

    def set_image(self, image: Picture) -> None:
        """Look at a picture, (H, W, 3) uint8 RGB."""

    def predict(
        self,
        *,
        boxes_xyxy: Boxes | None = None,
        points_xy: Points | None = None,
        point_labels: NDArray[np.integer] | None = None,
    ) -> Masks:
        """A mask for each of N prompts about the picture.

        Args:
            boxes_xyxy: (N, 4) pixels, around the object.
            points_xy: (N, P, 2) pixels; with boxes, they correct the mask of the box.
            point_labels: (N, P), 1 on the object and 0 beside it; all 1 when None.

        Returns:
            (N, H, W).

        Raises:
            EngineError: no picture is set, or the prompts do not fit each other.
        """


@dataclass(frozen=True)
class MaskPrompts:
    """N checked prompts about a picture: a box, points or both for each mask.

    Attributes:
        boxes_xyxy: (N, 4) float32 pixels inside the picture, at least a pixel a side, or None.
        points_xy: (N, P, 2) float32 pixels inside the picture, or None.
        point_labels: (N, P) int64 in {0, 1}; None without points.
    """

    boxes_xyxy: Boxes | None
    points_xy: Points | None
    point_labels: Labels | None

    @classmethod
    def checked(
        cls,
        image: Picture | None,
        boxes_xyxy: Boxes | None,
        points_xy: Points | None,
        point_labels: NDArray[np.integer] | None,
    ) -> Self:
        """The prompts in their own types, boxes clipped to the picture.

        Raises:
            EngineError: as `Segmenter.predict`.
        """
        if image is None:
            raise EngineError("The segmenter has no picture yet. Call set_image first.")
        if boxes_xyxy is None and points_xy is None:
            raise EngineError("A mask needs a box or a point. Give boxes_xyxy or points_xy.")
        boxes = None if boxes_xyxy is None else _boxes(boxes_xyxy, image)
        if points_xy is None:
            return cls(boxes, None, None)
        points = np.asarray(points_xy, dtype=np.float32)
        labels = np.ones(points.shape[:2], np.int64) if point_labels is None else np.asarray(point_labels, np.int64)
        if points.ndim != 3 or points.shape[2] != 2 or points.shape[1] == 0 or labels.shape != points.shape[:2]:
            raise EngineError(f"Points of shape {points.shape} need labels (N, P), not {labels.shape}.")
        if boxes is not None and len(boxes) != len(points):
            raise EngineError(f"{len(boxes)} boxes came with points for {len(points)} masks. Give as many of each.")
        if not np.isin(labels, (0, 1)).all() or not np.isfinite(points).all():
            raise EngineError("A point is on the object (1) or beside it (0), at finite x and y.")
        return cls(boxes, points.clip(0, np.array(image.shape[1::-1], np.float32)), labels)

    def __len__(self) -> int:
        if self.boxes_xyxy is not None:
            return len(self.boxes_xyxy)
        return 0 if self.points_xy is None else len(self.points_xy)

    def in_parts(self, size: int) -> Iterator[Self]:
        """The prompts, at most `size` at a time."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield type(self)(
                None if self.boxes_xyxy is None else self.boxes_xyxy[part],
                None if self.points_xy is None else self.points_xy[part],
                None if self.point_labels is None else self.point_labels[part],
            )

    @property
    def ambiguous(self) -> bool:
        """Whether a single point is all there is: then several masks are plausible and the best is taken."""
        return self.boxes_xyxy is None and self.points_xy is not None and self.points_xy.shape[1] == 1


def masks_at_once(image: Picture) -> int:
    """How many masks of a picture fit into memory together as floats."""
    return max(1, _PIXELS_AT_ONCE // int(image.shape[0] * image.shape[1]))


def _boxes(boxes_xyxy: Boxes, image: Picture) -> Boxes:
    """Boxes inside the picture, at least a pixel a side."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise EngineError(f"Boxes of shape {boxes.shape} are not (N, 4) finite x1, y1, x2, y2 in pixels.")
    height, width = image.shape[:2]
    corner = np.minimum(boxes[:, :2], [width - 1, height - 1])
    return clip(np.concatenate([corner, np.maximum(boxes[:, 2:], corner.clip(0) + 1)], axis=1), width, height)
