"""What a person or a detector would point at: loose boxes and clicks about the things of a picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.worlds.textures import Rng

SMALLEST_PX = 20  # seen of a thing that is asked for
_LOOSE = (0.02, 0.1)  # deviation of a box's edges as part of its side: drawn with care, drawn in haste
_LOOSEST = 0.02  # of the picture's longer side
_NEAR = 0.35  # of the box's side: how far outside it a click beside the thing falls


@dataclass(frozen=True)
class PicturePrompts:
    """N boxes about things of one picture and M sets of P clicks about others.

    Attributes:
        box_owners: (N,) int64, the number in `owner` of the thing in each box.
        boxes_xyxy: (N, 4) float32 pixels.
        box_points_xy: (N, P, 2) float32 pixels, clicks that go with the boxes.
        box_labels: (N, P) int64, 1 on the thing and 0 beside it.
        click_owners: (M,) int64.
        points_xy: (M, P, 2) float32.
        labels: (M, P) int64; the first is always 1.
    """

    box_owners: NDArray[np.int64]
    boxes_xyxy: NDArray[np.float32]
    box_points_xy: NDArray[np.float32]
    box_labels: NDArray[np.int64]
    click_owners: NDArray[np.int64]
    points_xy: NDArray[np.float32]
    labels: NDArray[np.int64]


def picture_prompts(rng: Rng, owner: NDArray[np.uint8], boxes: int, clicks: int, points: int) -> PicturePrompts | None:
    """So many prompts about the things that `owner` (H, W) shows, each thing as often as any other.

    Args:
        boxes: N.
        clicks: M.
        points: P.

    Returns:
        None where nothing is large enough.
    """
    counts = np.bincount(owner.ravel())
    things = np.flatnonzero(counts >= SMALLEST_PX)
    things = things[things > 0]
    if not len(things):
        return None
    chosen = np.concatenate([rng.permutation(things) for _ in range(-(-(boxes + clicks) // len(things)))])
    chosen = chosen[: boxes + clicks].astype(np.int64)
    extents = {int(thing): _extent(owner == thing) for thing in np.unique(chosen)}
    asked = [_clicks(rng, owner, int(thing), extents[int(thing)], points) for thing in chosen]
    points_xy = np.stack([xy for xy, _ in asked])
    labels = np.stack([label for _, label in asked])
    loose = np.stack([_loose(rng, extents[int(thing)], owner.shape) for thing in chosen[:boxes]])
    return PicturePrompts(
        chosen[:boxes], loose, points_xy[:boxes], labels[:boxes], chosen[boxes:], points_xy[boxes:], labels[boxes:]
    )


def _extent(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """x1, y1, x2, y2 of a mask (H, W) that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def _loose(rng: Rng, extent: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    sides = np.tile(extent[2:] - extent[:2], 2)
    most = _LOOSEST * max(shape)
    moved = extent + np.clip(rng.normal(0, rng.choice(_LOOSE), 4) * sides, -most, most)
    box: NDArray[np.float32] = np.clip(moved, 0, np.tile(shape[1::-1], 2)).astype(np.float32)
    return box


def _clicks(
    rng: Rng, owner: NDArray[np.uint8], thing: int, extent: NDArray[np.float32], points: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points (P, 2) and labels (P,): one on the thing, the others on it or beside it."""
    labels = np.concatenate([[1], rng.integers(0, 2, points - 1)]).astype(np.int64)
    margin = _NEAR * (extent[2:] - extent[:2]) + 4
    left, top = np.maximum(extent[:2] - margin, 0).astype(int)
    right, bottom = (extent[2:] + margin).astype(int)
    near = owner[top:bottom, left:right] == thing
    places = []
    for label in labels.tolist():
        rows, columns = np.nonzero(near if label else ~near)
        if not len(rows):  # it fills all that is near
            rows, columns = np.nonzero(near)
        place = rng.integers(len(rows))
        places.append((columns[place] + left + 0.5, rows[place] + top + 0.5))
    xy = np.array(places, np.float32)
    hit = owner[xy[:, 1].astype(int), xy[:, 0].astype(int)] == thing
    return xy, hit.astype(np.int64)
