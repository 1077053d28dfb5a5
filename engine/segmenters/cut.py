"""One object cut out of a window by its colours and by what is known of its place.

Rother, Kolmogorov, Blake, "GrabCut", SIGGRAPH 2004, through OpenCV. On photos one round of its graph cut learns the two
colour models; its hard cut then loses against a soft decision by colours and place together (coco128: mean IoU 0.58 for
the cut, 0.62 for this). The filter is the guided filter of He, Sun, Tang, ECCV 2010.
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from common.boxes import Boxes
from engine.preprocessing import Picture
from engine.segmenters.base import Labels, Masks, Points
from engine.segmenters.windows import Window

Field = NDArray[np.float64]  # (h, w), a value a pixel of the window

_POINT_RADIUS = 0.03  # of the window's longer side: what a point is sure about
_MAX_LOG_ODDS = 4.0  # of colours, in all
_SURE = 20.0  # log odds that no evidence outweighs
_LEARNED_PX = 96  # longest side of the picture that colours are learned from
_FEWEST = 8  # pixels that colours can be learned from
_FILTER_RADIUS_PX = 2
_FILTER_EPSILON = 1e-3
_SMALLEST_PART = 0.05  # of the largest part: smaller specks are dropped
_SMALLEST_SHARE = 0.1  # of the box: a smaller mask is a failure, and the box itself is given


@dataclass(frozen=True)
class Hints:
    """What is known of an object, in the window's pixels.

    Attributes:
        inside: (h, w), where it may be: in its box, or anywhere.
        is_boxed: whether that is a box, which an object fills a good part of.
        positives: (P, 2) points on it.
        on, off: (h, w), the pixels that points on it and beside it are sure about.
    """

    inside: Masks
    is_boxed: bool
    positives: NDArray[np.float64]
    on: Masks
    off: Masks

    @classmethod
    def of(
        cls, window: Window, points: Points | None, labels: Labels | None, *, within: Boxes | None, is_boxed: bool
    ) -> Self:
        """From points (P, 2), labels (P,) and the box (4,) it can't leave, if there is one, in the picture's pixels."""
        if points is None or labels is None:
            points, labels = np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
        placed = window.place(points)
        on, off = _discs(window, placed[labels == 1]), _discs(window, placed[labels == 0])
        return cls(_inside(window, within), is_boxed, placed[labels == 1], on, off)


def cut(window: Window, hints: Hints, place: Field, colour_weight: float) -> Masks:
    """The mask (h, w) of an object; its box where next to nothing is found in it.

    Args:
        window: shows it and what is around.
        hints: of the same window.
        place: (h, w) log odds that it covers each pixel, before colours are looked at.
        colour_weight: of the colours' log odds; those of neighbouring pixels are not independent and count less.
    """
    prior = place.copy()
    prior[hints.on] = _SURE
    prior[hints.off] = -_SURE
    colours = _colour_log_odds(window.pixels, hints.inside, prior, _MAX_LOG_ODDS / colour_weight)
    probability = 1 / (1 + np.exp(-(prior + colour_weight * colours)))
    probability[~hints.inside] = 0
    mask = (_guided_filter(window.pixels, probability) > 0.5) & hints.inside
    mask = _without_specks(mask, hints.positives, hints.off)
    if not hints.is_boxed:
        mask |= hints.on & hints.inside
    elif mask.sum() < _SMALLEST_SHARE * hints.inside.sum():
        mask = hints.inside & ~hints.off
    return mask


def ellipse_log_odds(window: Window, box: Boxes, core: float) -> Field:
    """How likely an object covers each place (h, w) of a box without being looked at: the middle more than the corners.

    Args:
        window: of the picture.
        box: (4,) pixels of the picture.
        core: the squared distance from the middle, 1 on the ellipse in the box, where the odds are even.
    """
    x1, y1, x2, y2 = window.place_box(box)
    rows, columns = np.indices(window.pixels.shape[:2]) + 0.5
    u = (columns - (x1 + x2) / 2) / max((x2 - x1) / 2, 1) / 1.05
    v = (rows - (y1 + y2) / 2) / max((y2 - y1) / 2, 1) / 1.05
    odds: Field = np.maximum(core - u**2 - v**2, -3.0)
    return odds


def keep_to_box(mask: Masks, box: Boxes) -> None:
    """Clear a mask (H, W) outside its box, in place; fill the box where nothing is left."""
    x1, y1 = (int(value) for value in box[:2])
    x2, y2 = (int(np.ceil(value)) for value in box[2:])
    kept = mask[y1:y2, x1:x2].copy()
    mask[:] = False
    mask[y1:y2, x1:x2] = kept if kept.any() else True


def _inside(window: Window, box: Boxes | None) -> Masks:
    """Which pixels (h, w) of the window the object's box touches."""
    if box is None:
        return np.ones(window.pixels.shape[:2], dtype=np.bool_)
    x1, y1, x2, y2 = window.place_box(box)
    inside = np.zeros(window.pixels.shape[:2], dtype=np.bool_)
    inside[int(y1) : max(int(np.ceil(y2)), int(y1) + 1), int(x1) : max(int(np.ceil(x2)), int(x1) + 1)] = True
    return inside


def _discs(window: Window, points: NDArray[np.float64]) -> Masks:
    """The pixels (h, w) that points (P, 2) of the window are sure about."""
    rows, columns = np.indices(window.pixels.shape[:2]) + 0.5
    radius = max(1.0, _POINT_RADIUS * max(window.pixels.shape[:2]))
    discs = np.zeros(window.pixels.shape[:2], dtype=np.bool_)
    for x, y in points:
        discs |= (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return discs


def _colour_log_odds(pixels: Picture, inside: Masks, prior: Field, limit: float) -> Field:
    """How much better the object's colours explain each pixel than the background's, at most `limit`."""
    labels = np.where(prior > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[~inside] = cv2.GC_BGD
    labels[prior >= _SURE] = cv2.GC_FGD
    labels[prior <= -_SURE] = cv2.GC_BGD
    step = -(-max(labels.shape) // _LEARNED_PX)  # some thousand pixels tell as much as all
    few, few_labels = np.ascontiguousarray(pixels[::step, ::step]), np.ascontiguousarray(labels[::step, ::step])
    of_object = np.isin(few_labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if min(of_object.sum(), (~of_object).sum()) < _FEWEST:
        return np.zeros(prior.shape)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its k-means draws at random: the same prompt gives the same mask
    cv2.grabCut(few, few_labels, None, background, foreground, 1, cv2.GC_INIT_WITH_MASK)
    colours = pixels.reshape(-1, 3).astype(np.float32)
    odds = _log_likelihood(foreground, colours) - _log_likelihood(background, colours)
    clipped: Field = np.clip(odds, -limit, limit).astype(np.float64).reshape(prior.shape)
    return clipped


def _log_likelihood(model: NDArray[np.float64], colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of colours (P, 3) under OpenCV's model (1, 65): 5 weights, 5 means, 5 covariances of a Gaussian mixture."""
    weights, means, covariances = model[0, :5], model[0, 5:20].reshape(5, 3), model[0, 20:].reshape(5, 3, 3)
    terms = []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        if weight > 0:
            spread = covariance + 4 * np.eye(3)  # flat areas have no variance to divide by
            root = np.linalg.cholesky(np.linalg.inv(spread))
            whitened = colours @ root.astype(np.float32) - (mean @ root).astype(np.float32)
            distance = np.square(whitened) @ np.ones(3, np.float32)
            terms.append(np.float32(np.log(weight) - 0.5 * np.log(np.linalg.det(spread))) - 0.5 * distance)
    stacked = np.stack(terms)
    highest: NDArray[np.float32] = stacked.max(0)
    total: NDArray[np.float32] = highest + np.log(np.exp(stacked - highest).sum(0))
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
