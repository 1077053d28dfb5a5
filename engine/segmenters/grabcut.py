"""Masks without any weights: GrabCut's colour models, a prior of where in a box objects are, an edge-aware filter.

Rother, Kolmogorov, Blake, "GrabCut", SIGGRAPH 2004, through OpenCV. On photos one round of its graph cut
learns the two colour models; its hard cut then loses against a soft decision by colours and place together
(coco128: mean IoU 0.58 for the cut, 0.62 for this; tests/engine/test_grabcut.py holds the number).
The filter is the guided filter of He, Sun, Tang, ECCV 2010.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes
from engine.preprocessing import Picture
from engine.segmenters.base import Labels, MaskPrompts, Masks, Points

Field = NDArray[np.float64]  # (h, w), a value a pixel of the window

_WINDOW_PX = 192  # longest side a window is shrunk to
_MARGIN = 0.25  # of the box on each side: what the background's colours are learned from
_MIN_MARGIN_PX = 8
_POINT_REACH = 0.2  # of the picture's longer side: how far from its points an object without a box may go
_POINT_CORE = 0.15  # share of that reach, squared, which is the object rather than its background to begin with
_POINT_RADIUS = 0.03  # of the window's longer side: what a point is sure about
_COLOUR_WEIGHT = 0.7  # colours of neighbouring pixels are not independent: their evidence counts less
_PLACE_WEIGHT = 2.0
_MAX_LOG_ODDS = 4.0
_SURE = 20.0  # log odds that no evidence outweighs
_FILTER_RADIUS_PX = 2
_FILTER_EPSILON = 1e-3
_SMALLEST_PART = 0.05  # of the largest part: smaller specks are dropped
_SMALLEST_SHARE = 0.1  # of the box: a smaller mask is a failure, and the box itself is given


class GrabCut:
    """The `Segmenter` that is always there. Some 30 ms a mask on one core, whatever the picture's size."""

    name = "grabcut"

    def __init__(self) -> None:
        self._image: Picture | None = None

    def set_image(self, image: Picture) -> None:
        """Look at a picture, (H, W, 3) uint8 RGB."""
        self._image = image

    def predict(
        self,
        *,
        boxes_xyxy: Boxes | None = None,
        points_xy: Points | None = None,
        point_labels: NDArray[np.integer] | None = None,
    ) -> Masks:
        """A mask for each prompt, inside its box and never empty; see `Segmenter.predict`."""
        prompts = MaskPrompts.checked(self._image, boxes_xyxy, points_xy, point_labels)
        assert self._image is not None
        masks = np.zeros((len(prompts), *self._image.shape[:2]), dtype=np.bool_)
        for index, mask in enumerate(masks):
            box = None if prompts.boxes_xyxy is None else prompts.boxes_xyxy[index]
            points = None if prompts.points_xy is None else prompts.points_xy[index]
            labels = None if prompts.point_labels is None else prompts.point_labels[index]
            _segment(self._image, box, points, labels, mask)
        return masks


@dataclass(frozen=True)
class _Window:
    """A shrunken part of the picture around one object.

    Attributes:
        pixels: (h, w, 3) RGB.
        left, top, right, bottom: the part of the picture it shows, in pixels.
        object_xyxy: the box of the object in the window's pixels.
    """

    pixels: Picture
    left: int
    top: int
    right: int
    bottom: int
    object_xyxy: tuple[float, float, float, float]

    def place(self, xy: NDArray[np.float32]) -> NDArray[np.float64]:
        """Points (P, 2) of the picture in the window's pixels."""
        scale = [self.pixels.shape[1] / (self.right - self.left), self.pixels.shape[0] / (self.bottom - self.top)]
        placed: NDArray[np.float64] = (xy.astype(np.float64) - [self.left, self.top]) * scale
        return placed


def _segment(image: Picture, box: Boxes | None, points: Points | None, labels: Labels | None, out: Masks) -> None:
    """Write the mask of one object into `out` (H, W)."""
    positives = np.zeros((0, 2), np.float32) if points is None or labels is None else points[labels == 1]
    negatives = np.zeros((0, 2), np.float32) if points is None or labels is None else points[labels == 0]
    if box is None and not len(positives):
        return  # only "not here": nothing to find
    window = _window(image, _reach(image, positives) if box is None else box, 0 if box is None else _MARGIN)
    inside = _inside(window)
    prior = _place_log_odds(window, 1.0 if box is not None else _POINT_CORE)
    prior[_discs(window, positives)] = _SURE
    prior[_discs(window, negatives)] = -_SURE
    colours = _colour_log_odds(window.pixels, inside, prior)
    probability = 1 / (1 + np.exp(-(prior + _COLOUR_WEIGHT * colours)))
    probability[~inside] = 0
    mask = (_guided_filter(window.pixels, probability) > 0.5) & inside
    mask = _without_specks(mask, window.place(positives), _discs(window, negatives))
    if box is None:
        mask |= _discs(window, positives) & inside
    elif mask.sum() < _SMALLEST_SHARE * inside.sum():
        mask = inside & ~_discs(window, negatives)
    full = cv2.resize(
        mask.astype(np.float32),
        (window.right - window.left, window.bottom - window.top),
        interpolation=cv2.INTER_LINEAR,
    )
    out[window.top : window.bottom, window.left : window.right] = full > 0.5
    if box is not None:
        _keep_to_box(out, box)


def _reach(image: Picture, positives: Points) -> Boxes:
    """The box (4,) in which an object with these points on it may lie."""
    reach = _POINT_REACH * max(image.shape[:2])
    box = np.concatenate([positives.min(axis=0) - reach, positives.max(axis=0) + reach])
    reachable: Boxes = np.clip(box, 0, [image.shape[1], image.shape[0]] * 2).astype(np.float32)
    return reachable


def _window(image: Picture, box: Boxes, margin: float) -> _Window:
    """The part of the picture around a box, shrunk where it is large."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in box)
    margin_x, margin_y = (max(_MIN_MARGIN_PX, margin * side) for side in (x2 - x1, y2 - y1))
    left, top = int(max(0, x1 - margin_x)), int(max(0, y1 - margin_y))
    right, bottom = int(min(width, np.ceil(x2 + margin_x))), int(min(height, np.ceil(y2 + margin_y)))
    crop = image[top:bottom, left:right]
    shrink = min(1.0, _WINDOW_PX / max(crop.shape[:2]))
    size = (max(1, round(crop.shape[1] * shrink)), max(1, round(crop.shape[0] * shrink)))
    pixels: Picture = np.ascontiguousarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    window = _Window(pixels, left, top, right, bottom, (0, 0, 0, 0))
    (wx1, wy1), (wx2, wy2) = window.place(np.array([[x1, y1], [x2, y2]], np.float32))
    return _Window(pixels, left, top, right, bottom, (wx1, wy1, wx2, wy2))


def _inside(window: _Window) -> Masks:
    """Which pixels (h, w) of the window the object's box touches."""
    x1, y1, x2, y2 = window.object_xyxy
    inside = np.zeros(window.pixels.shape[:2], dtype=np.bool_)
    inside[int(y1) : max(int(np.ceil(y2)), int(y1) + 1), int(x1) : max(int(np.ceil(x2)), int(x1) + 1)] = True
    return inside


def _place_log_odds(window: _Window, core: float) -> Field:
    """How likely an object covers each place of its box: the middle more than the corners.

    Args:
        core: the squared distance from the middle, 1 on the ellipse in the box, where the odds are even.
    """
    x1, y1, x2, y2 = window.object_xyxy
    rows, columns = np.indices(window.pixels.shape[:2]) + 0.5
    u = (columns - (x1 + x2) / 2) / max((x2 - x1) / 2, 1) / 1.05
    v = (rows - (y1 + y2) / 2) / max((y2 - y1) / 2, 1) / 1.05
    odds: Field = np.maximum(_PLACE_WEIGHT * (core - u**2 - v**2), -3 * _PLACE_WEIGHT)
    return odds


def _discs(window: _Window, points: Points) -> Masks:
    """The pixels (h, w) that points (P, 2) of the picture are sure about."""
    rows, columns = np.indices(window.pixels.shape[:2]) + 0.5
    radius = max(1.0, _POINT_RADIUS * max(window.pixels.shape[:2]))
    discs = np.zeros(window.pixels.shape[:2], dtype=np.bool_)
    for x, y in window.place(points):
        discs |= (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return discs


def _colour_log_odds(pixels: Picture, inside: Masks, prior: Field) -> Field:
    """How much better the object's colours explain each pixel than the background's, clipped."""
    labels = np.where(prior > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[~inside] = cv2.GC_BGD
    labels[prior >= _SURE] = cv2.GC_FGD
    labels[prior <= -_SURE] = cv2.GC_BGD
    if min(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).sum(), np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD)).sum()) < 8:
        return np.zeros(prior.shape)  # too few pixels to learn colours from
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its k-means draws at random: the same prompt gives the same mask
    cv2.grabCut(pixels, labels, None, background, foreground, 1, cv2.GC_INIT_WITH_MASK)
    colours = pixels.reshape(-1, 3).astype(np.float64)
    odds = _log_likelihood(foreground, colours) - _log_likelihood(background, colours)
    limit = _MAX_LOG_ODDS / _COLOUR_WEIGHT
    clipped: Field = np.clip(odds, -limit, limit).reshape(prior.shape)
    return clipped


def _log_likelihood(model: NDArray[np.float64], colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of colours (P, 3) under OpenCV's model (1, 65): 5 weights, 5 means, 5 covariances of a Gaussian mixture."""
    weights, means, covariances = model[0, :5], model[0, 5:20].reshape(5, 3), model[0, 20:].reshape(5, 3, 3)
    terms = []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        if weight > 0:
            spread = covariance + 4 * np.eye(3)  # flat areas have no variance to divide by
            offset = colours - mean
            distance = np.einsum("pi,ij,pj->p", offset, np.linalg.inv(spread), offset)
            terms.append(np.log(weight) - 0.5 * np.log(np.linalg.det(spread)) - 0.5 * distance)
    total: NDArray[np.float64] = np.logaddexp.reduce(terms, axis=0)
    return total


def _guided_filter(pixels: Picture, values: Field) -> Field:
    """Smooth `values` (h, w) where the picture is smooth, and not across its edges."""
    guide = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255

    def mean(field: Field) -> Field:
        side = 2 * _FILTER_RADIUS_PX + 1
        return np.asarray(cv2.blur(field, (side, side), borderType=cv2.BORDER_REPLICATE), dtype=np.float64)

    guide_mean, value_mean = mean(guide), mean(values)
    slope = (mean(guide * values) - guide_mean * value_mean) / (mean(guide**2) - guide_mean**2 + _FILTER_EPSILON)
    result: Field = mean(slope) * guide + mean(value_mean - slope * guide_mean)
    return result


def _without_specks(mask: Masks, positives: NDArray[np.float64], negatives: Masks) -> Masks:
    """The large parts of a mask (those with a positive point where there are any), holes filled but for negatives."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return mask
    areas = [cv2.contourArea(contour) for contour in contours]
    kept = [c for c, area in zip(contours, areas, strict=True) if area >= _SMALLEST_PART * max(areas)]
    touched = [c for c in contours if any(cv2.pointPolygonTest(c, (x, y), True) >= -2 for x, y in positives)]
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, touched or kept, -1, 1, thickness=-1)
    _, holes = cv2.connectedComponents(filled & ~mask.astype(np.uint8))
    filled[np.isin(holes, np.setdiff1d(holes[negatives], 0))] = 0
    return filled.astype(np.bool_)


def _keep_to_box(mask: Masks, box: Boxes) -> None:
    """Clear a mask (H, W) outside its box, in place; fill the box where nothing is left."""
    x1, y1 = (int(value) for value in box[:2])
    x2, y2 = (int(np.ceil(value)) for value in box[2:])
    kept = mask[y1:y2, x1:x2].copy()
    mask[:] = False
    mask[y1:y2, x1:x2] = kept if kept.any() else True
