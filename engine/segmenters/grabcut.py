"""Masks without any weights: a prior of where in a box objects are, and the picture's colours."""

import numpy as np

from common.boxes import Boxes
from engine.preprocessing import Picture
from engine.segmenters.base import Labels, Masks, Points
from engine.segmenters.cut import Hints, cut, ellipse_log_odds, keep_to_box
from engine.segmenters.one_by_one import OneByOne
from engine.segmenters.windows import Window

_WINDOW_PX = 192  # longest side a window is shrunk to
_MARGIN = 0.25  # of the box on each side: what the background's colours are learned from
_MIN_MARGIN_PX = 8
_POINT_REACH = 0.2  # of the picture's longer side: how far from its points an object without a box may go
_POINT_CORE = 0.15  # share of that reach, squared, which is the object rather than its background to begin with
_COLOUR_WEIGHT = 0.7
_PLACE_WEIGHT = 2.0


class GrabCut(OneByOne):
    """The `Segmenter` that needs no weights. Some 5 ms a mask on one core, whatever the picture's size."""

    name = "grabcut"

    def segment(
        self, image: Picture, box: Boxes | None, points: Points | None, labels: Labels | None, out: Masks
    ) -> None:
        """Write the mask of one object into `out`, see `OneByOne.segment`; points beside it alone mean nothing."""
        positives = np.zeros((0, 2), np.float32) if points is None or labels is None else points[labels == 1]
        if box is None and not len(positives):
            return
        extent = _reach(image, positives) if box is None else box
        margin = 0.0 if box is None else _MARGIN
        margin_x, margin_y = np.maximum(margin * (extent[2:] - extent[:2]), _MIN_MARGIN_PX).tolist()
        window = Window.around(image, extent, (margin_x, margin_y), _WINDOW_PX)
        place = _PLACE_WEIGHT * ellipse_log_odds(window, extent, 1.0 if box is not None else _POINT_CORE)
        hints = Hints.of(window, points, labels, within=extent, is_boxed=box is not None)
        window.paste(cut(window, hints, place, _COLOUR_WEIGHT), out)
        if box is not None:
            keep_to_box(out, box)


def _reach(image: Picture, positives: Points) -> Boxes:
    """The box (4,) in which an object with these points on it may lie."""
    reach = _POINT_REACH * max(image.shape[:2])
    box = np.concatenate([positives.min(axis=0) - reach, positives.max(axis=0) + reach])
    reachable: Boxes = np.clip(box, 0, [image.shape[1], image.shape[0]] * 2).astype(np.float32)
    return reachable
