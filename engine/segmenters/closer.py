"""Masks of a small SAM that looks at the surroundings of each thing, with the picture's colours as a second witness."""

import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes
from engine.preprocessing import Picture
from engine.segmenters.base import Labels, Masks, Points
from engine.segmenters.cut import Field, Hints, cut, ellipse_log_odds, keep_to_box
from engine.segmenters.one_by_one import OneByOne
from engine.segmenters.sam_transformers import TransformersSam
from engine.segmenters.windows import Window

_AROUND = 0.5  # of a box's longer side: what is looked at on each side of it
_LEAST_AROUND_PX = 8
_SAM_WEIGHT = 0.5  # of its log odds, which are too sure on photos
_ELLIPSE_WEIGHT = 1.0  # where there is a box
_COLOUR_WEIGHT = 0.4


class CloserLook(OneByOne):
    """The `Segmenter` over a SAM whose input is too small for whole pictures.

    A thing of 30 px in a photo of 640 px covers 13 px of an input of 288 px, and three cells of its mask; seen closely
    it covers half of the input. Its log odds take the place of GrabCut's prior, so that a mask's edge follows the
    picture's. Points alone are answered twice: about the whole picture, to know how large the thing is, and closely.

    Attributes:
        name: what people call it.
    """

    def __init__(self, sam: TransformersSam) -> None:
        super().__init__()
        self._sam = sam
        self.name = sam.name

    def segment(
        self, image: Picture, box: Boxes | None, points: Points | None, labels: Labels | None, out: Masks
    ) -> None:
        """Write the mask of one object into `out`, see `OneByOne.segment`; points beside it alone mean nothing."""
        extent = self._extent(image, points, labels) if box is None else box
        if extent is None:
            return
        margin = max(_AROUND * float((extent[2:] - extent[:2]).max()), _LEAST_AROUND_PX)
        window = Window.around(image, extent, _square(extent, margin), self._sam.side)
        place = _SAM_WEIGHT * self._log_odds(window, box, points, labels)
        if box is not None:
            place += _ELLIPSE_WEIGHT * ellipse_log_odds(window, box, 1.0)
        hints = Hints.of(window, points, labels, within=box, is_boxed=box is not None)
        window.paste(cut(window, hints, place, _COLOUR_WEIGHT), out)
        if box is not None:
            keep_to_box(out, box)

    def _extent(self, image: Picture, points: Points | None, labels: Labels | None) -> Boxes | None:
        """The box (4,) of what points mean in the whole picture, and of the points; None without one on it."""
        if points is None or labels is None or not (labels == 1).any():
            return None
        height, width = image.shape[:2]
        whole = Window.around(image, np.array([0, 0, width, height], np.float32), (0.0, 0.0), self._sam.side)
        rows_columns = np.nonzero(self._log_odds(whole, None, points, labels) > 0)
        reached = np.concatenate([points, *_corners(whole, *rows_columns)])
        return np.concatenate([reached.min(0), reached.max(0)])

    def _log_odds(self, window: Window, box: Boxes | None, points: Points | None, labels: Labels | None) -> Field:
        """(h, w) of one prompt about a window."""
        self._sam.set_image(window.pixels)
        (odds,) = self._sam.log_odds(
            boxes_xyxy=None if box is None else window.place_box(box).astype(np.float32)[None],
            points_xy=None if points is None else window.place(points).astype(np.float32)[None],
            point_labels=None if labels is None else labels[None],
        )
        log_odds: Field = odds.astype(np.float64)
        return log_odds


def _corners(window: Window, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> list[Points]:
    """The corners (2, 2) of what lies around pixels of a window, in the picture's pixels; nothing without pixels."""
    if not len(rows):
        return []
    found = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]], np.float32)
    scale = [window.right - window.left, window.bottom - window.top] / np.array(window.pixels.shape[1::-1], np.float32)
    return [(found * scale + [window.left, window.top]).astype(np.float32)]


def _square(box: Boxes, margin: float) -> tuple[float, float]:
    """What to add on each side of a box for a square, in x and in y."""
    width, height = (box[2:] - box[:2]).tolist()
    side = max(width, height) + 2 * margin
    return (side - width) / 2, (side - height) / 2
