"""What looks at the parts of one picture found, put together: a thing that a seam cuts is one thing again."""

from collections.abc import Iterator, Sequence

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from common.boxes import Boxes, iou

SAME_IOU = 0.5
"""Boxes of two looks that overlap so much within the part that both looks see are one thing."""

_AT_EDGE = 0.015  # of a look's longer side: a box that ends so near to its edge is cut there

Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]


def merge(found: Sequence[sv.Detections], looks_xyxy: Boxes) -> sv.Detections:
    """The things of a picture, best first, from what each look at a part of it found.

    Of a thing each look shows what lies in its part, so boxes of one category are one thing when they agree where both
    looks see, and only there: two halves of a thing may share no more than the overlap of their tiles. Of boxes that
    show one thing whole the best stays. Cut ones that agree with a whole one go. Cut ones of a thing that nobody saw
    whole become the box around them all, with the best score of theirs.

    Args:
        found: of each look, in pixels of the picture, at most one box a thing.
        looks_xyxy: (L, 4) the part of the picture that each look saw; together they cover it.
    """
    together = sv.Detections.merge(list(found))
    if together.confidence is None or together.class_id is None or not len(together):
        return found[0]
    looks = np.repeat(np.arange(len(found)), [len(each) for each in found])
    best_first = np.argsort(-together.confidence, kind="stable")
    boxes, looks = together.xyxy[best_first].astype(np.float32), looks[best_first]
    classes = together.class_id[best_first].astype(np.int64)
    same = _same(boxes, classes, looks, looks_xyxy)
    is_cut = cut(boxes, looks_xyxy[looks], looks_xyxy)
    whole = _best_of_each(~is_cut, same)
    parts = np.flatnonzero(is_cut & ~(same @ ~is_cut))  # agree with no whole one
    first, joined = _joined(boxes[parts], same[parts][:, parts])
    kept = np.concatenate([whole, parts[first]])
    result = together.select(best_first[kept])
    result.xyxy = np.concatenate([boxes[whole], joined])
    return result.select(np.argsort(kept))


def cut(boxes_xyxy: Boxes, looks_xyxy: Boxes, all_looks_xyxy: Boxes) -> Flags:
    """Which boxes end at an edge of their look that is no edge of the picture: (N, 4) with a look each, to (N,)."""
    picture = np.concatenate([all_looks_xyxy[:, :2].min(axis=0), all_looks_xyxy[:, 2:].max(axis=0)])
    near = _AT_EDGE * (looks_xyxy[:, 2:] - looks_xyxy[:, :2]).max(axis=1, keepdims=True)  # (N, 1)
    low = (looks_xyxy[:, :2] > picture[:2]) & (boxes_xyxy[:, :2] <= looks_xyxy[:, :2] + near)  # (N, 2)
    high = (looks_xyxy[:, 2:] < picture[2:]) & (boxes_xyxy[:, 2:] >= looks_xyxy[:, 2:] - near)
    result: Flags = (low | high).any(axis=1)
    return result


def _same(boxes: Boxes, classes: Indices, looks: Indices, looks_xyxy: Boxes) -> csr_array:
    """(N, N) bool, symmetric: which boxes of different looks are one thing. Few are, so only those are held."""
    rows = [np.flatnonzero(looks == look) for look in range(len(looks_xyxy))]
    ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for one, other, shared in _neighbours(looks_xyxy):
        agree = iou(_within(boxes[rows[one]], shared), _within(boxes[rows[other]], shared)) >= SAME_IOU
        agree &= classes[rows[one]][:, None] == classes[rows[other]]
        a, b = np.nonzero(agree)
        ones.append(rows[one][a])
        others.append(rows[other][b])
    a, b = np.concatenate(ones), np.concatenate(others)
    pairs = np.concatenate([a, b]), np.concatenate([b, a])
    return coo_array((np.ones(2 * len(a), np.bool_), pairs), shape=(len(boxes), len(boxes))).tocsr()


def _neighbours(looks_xyxy: Boxes) -> Iterator[tuple[int, int, Boxes]]:
    """Pairs of looks with the part (4,) that both see."""
    for one, look in enumerate(looks_xyxy):
        later = looks_xyxy[one + 1 :]
        low, high = np.maximum(look[:2], later[:, :2]), np.minimum(look[2:], later[:, 2:])
        for place in np.flatnonzero((low < high).all(axis=1)).tolist():
            yield one, one + 1 + place, np.concatenate([low[place], high[place]])


def _within(boxes: Boxes, part: Boxes) -> Boxes:
    """What of the boxes (N, 4) lies in a part of the picture; one outside has no area."""
    low, high = np.tile(part[:2], 2), np.tile(part[2:], 2)
    result: Boxes = np.clip(boxes, low, high)
    return result


def _best_of_each(wanted: Flags, same: csr_array) -> Indices:
    """Of the wanted boxes, the best first, those that agree with no better one that stays."""
    stays = wanted.copy()
    for box in np.flatnonzero(wanted & (np.diff(same.indptr) > 0)).tolist():
        if stays[box]:
            others = same.indices[same.indptr[box] : same.indptr[box + 1]]
            stays[others[others > box]] = False
    return np.flatnonzero(stays)


def _joined(boxes: Boxes, same: csr_array) -> tuple[Indices, Boxes]:
    """Boxes (N, 4), best first, as one around each group that agrees, box by box: the first of each, and that box."""
    _, groups = connected_components(same, directed=False)
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    low, high = boxes[first, :2].copy(), boxes[first, 2:].copy()
    np.minimum.at(low, group, boxes[:, :2])
    np.maximum.at(high, group, boxes[:, 2:])
    return first, np.concatenate([low, high], axis=1)
