"""Masks as COCO run-length encodings: the truth in the database; polygons are derived from them.

The format is that of pycocotools: columns first, counts compressed into a string.
"""

from collections.abc import Sequence
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

Mask = NDArray[np.bool_]  # (H, W)


class Rle(TypedDict):
    """One mask: `size` is [height, width] in pixels, `counts` COCO's compressed runs as text."""

    size: list[int]
    counts: str


def encode_mask(mask: Mask) -> Rle:
    """(H, W) booleans -> run lengths."""
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return Rle(size=[int(side) for side in encoded["size"]], counts=encoded["counts"].decode("ascii"))


def decode_mask(rle: Rle) -> Mask:
    """Run lengths -> (H, W) booleans.

    Raises:
        ValueError: counts that do not fill the size.
    """
    height, width = checked_rle(rle)["size"]
    runs = _unpacked_counts(rle["counts"])
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, runs)  # (W * H,), down the columns
    return columns.reshape(width, height).T


def checked_rle(rle: Rle) -> Rle:
    """The same run lengths, once they are known to fill their size exactly.

    pycocotools trusts its input and reads or writes past the end of a wrong one, so a stranger's counts
    are unpacked here first.

    Raises:
        ValueError: one line saying what is wrong.
    """
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("A mask needs 'size' [height, width] and 'counts'.") from error
    if not isinstance(counts, str) or height < 1 or width < 1:
        raise ValueError(f"A mask of size {rle['size']} with counts of type {type(counts).__name__} is not COCO RLE.")
    _check_runs(_unpacked_counts(counts), height, width)
    return Rle(size=[height, width], counts=counts)


def rle_from_runs(size: Sequence[int], runs: Sequence[int]) -> Rle:
    """COCO's uncompressed form (a list of run lengths) -> the compressed one.

    Raises:
        ValueError: runs that do not fill the size.
    """
    height, width = (int(side) for side in size)
    _check_runs(runs, height, width)
    packed = coco.frPyObjects({"size": [height, width], "counts": list(runs)}, height, width)
    return Rle(size=[height, width], counts=packed["counts"].decode("ascii"))


def mask_area(rle: Rle) -> int:
    """Number of pixels set."""
    return int(coco.area(_packed(rle)))


def mask_box_xyxy(rle: Rle) -> tuple[float, float, float, float]:
    """The tight box around the mask in pixels, right and bottom exclusive; all zero for an empty mask."""
    x, y, width, height = (float(value) for value in coco.toBbox(_packed(rle)))
    return x, y, x + width, y + height


def polygons_from_mask(rle: Rle, tolerance_px: float = 1.0) -> list[list[float]]:
    """Outer outlines as COCO polygons [x1, y1, x2, y2, ...], one for each part.

    COCO polygons can't hold holes: a hole is lost here, which is why the run lengths stay the truth.
    Outlines run just inside the outer edges of the pixels, so that drawing them gives the mask back.

    Args:
        rle: the mask.
        tolerance_px: how far a simplified outline may stray (Douglas-Peucker).
    """
    x1, y1, x2, y2 = (int(side) for side in mask_box_xyxy(rle))
    crop = decode_mask(rle)[y1:y2, x1:x2].astype(np.uint8)
    # Twice the size: OpenCV's outlines run through pixel centres, which would shave half a pixel off each side.
    outlines, _ = cv2.findContours(crop.repeat(2, 0).repeat(2, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    polygons = []
    for outline in outlines:
        simple = cv2.approxPolyDP(outline, 2 * tolerance_px, closed=True).reshape(-1, 2)  # (K, 2)
        if len(simple) >= 3:
            polygons.append([float(value) for value in ((simple + 0.5) / 2 + (x1, y1)).reshape(-1)])
    return polygons


def mask_from_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> Rle:
    """The union of COCO polygons, drawn into an image of `height` x `width` pixels.

    Raises:
        ValueError: a polygon with fewer than 3 points or an odd number of values.
    """
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"A polygon needs at least 3 x, y pairs; this one has {len(polygon)} values.")
    parts = coco.frPyObjects([list(polygon) for polygon in polygons], height, width)
    merged = coco.merge(parts)
    return Rle(size=[height, width], counts=merged["counts"].decode("ascii"))


def _check_runs(runs: Sequence[int], height: int, width: int) -> None:
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"The mask's runs cover {sum(runs)} pixels; its size {height} x {width} has {height * width}.")


def _packed(rle: Rle) -> dict[str, object]:
    return {"size": rle["size"], "counts": rle["counts"].encode("ascii")}


def _unpacked_counts(counts: str) -> list[int]:
    """COCO's string form: 6 bits a character (5 of data, 1 of 'more'), differences to the run before the last."""
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError(f"The mask's counts hold {character!r}, which is not COCO RLE.")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("The mask's counts end in the middle of a number.")
    return runs
