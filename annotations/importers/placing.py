"""Lays a label on the image it belongs to: pixels, edges, masks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotations.captions import CaptionText, Phrase
from annotations.errors import EditRefused
from annotations.importers.parsed import ParsedCaption, ParsedFile, ParsedLabel
from annotations.shapes import Box, checked_mask, clipped_box, is_number
from common.images import ImageInfo
from common.masks import Rle, mask_area, mask_box_xyxy, mask_from_polygons, rle_from_runs

_CLIP_NOTICED_PX = 1.0  # less is rounding, and not worth a line in the report


@dataclass(frozen=True)
class Placed:
    """A label on its image; `note` says what had to be left out of it."""

    xyxy: Box
    rle: Rle | None
    note: str | None = None  # the mask was left out, and why
    clip: str | None = None  # the box was cut, and by how much


@dataclass(frozen=True)
class PlacedCaption:
    """A caption on its image; `clip` says by how much a box was cut."""

    text: CaptionText
    clip: str | None = None


def size_problem(file: ParsedFile, info: ImageInfo) -> str | None:
    """Why the labels of a file do not belong on this image, or None."""
    if file.size_wh is None or file.size_wh == (info.width, info.height):
        return None
    made_on = f"{file.size_wh[0]} x {file.size_wh[1]} px"
    if file.size_wh == (info.height, info.width):
        return f"labels left out: made on the image lying on its side ({made_on}); upright it is {_size(info)}"
    return f"labels left out: made on an image of {made_on}, this one is {_size(info)}"


def place(label: ParsedLabel, info: ImageInfo, *, fractions: bool) -> Placed | str:
    """The label in pixels of the upright image, or one line that says why it cannot be used."""
    rle, note = _mask(label, info, fractions)
    box = label.xyxy
    if box is None and rle is not None:
        box = mask_box_xyxy(rle)
    elif box is not None and fractions:
        box = (box[0] * info.width, box[1] * info.height, box[2] * info.width, box[3] * info.height)
    if box is None:
        return note or "it has neither a box nor a mask"
    if box[2] <= box[0] or box[3] <= box[1]:
        return f"the box {_short(box)} has no area"
    clipped = clipped_box(box, info.width, info.height)
    if clipped is None:
        return f"the box {_short(box)} covers less than 1 px a side of the {_size(info)} image"
    beyond = max(abs(before - after) for before, after in zip(box, clipped, strict=True))
    clip = f"the box reached {beyond:.1f} px beyond the image and was cut" if beyond > _CLIP_NOTICED_PX else None
    return Placed(clipped, rle, note, clip)


def place_caption(caption: ParsedCaption, info: ImageInfo) -> PlacedCaption | str:
    """The caption with boxes on the upright image, or one line that says why it cannot be used.

    It goes in whole or not at all: words whose box was left out would teach that their thing is not there.
    """
    phrases: list[Phrase] = []
    clip = None
    for phrase in caption.phrases:
        boxes: list[Box] = []
        for box in phrase.boxes:
            placed = place(ParsedLabel(caption.where, "", box), info, fractions=False)
            if isinstance(placed, str):
                return placed
            boxes.append(placed.xyxy)
            clip = clip or placed.clip
        phrases.append(Phrase(phrase.spans, np.array(boxes, np.float32).reshape(-1, 4)))
    try:
        return PlacedCaption(CaptionText(0, caption.text, caption.kind, tuple(phrases)), clip)
    except EditRefused as error:
        return str(error)


def _mask(label: ParsedLabel, info: ImageInfo, fractions: bool) -> tuple[Rle | None, str | None]:
    try:
        if label.rle is not None:
            rle = checked_mask(_compressed(label.rle), info.width, info.height)
        elif label.polygons:
            rle = _drawn(label.polygons, info, fractions)
        else:
            return None, None
    except (ValueError, TypeError, OverflowError) as error:
        return None, f"mask left out: {error}"
    return (rle, None) if mask_area(rle) else (None, "mask left out: it has no pixels")


def _compressed(rle: Mapping[str, Any]) -> object:
    """COCO writes crowds as plain run lengths, everything else as a string."""
    counts = rle.get("counts")
    if not isinstance(counts, list):
        return rle
    size = rle.get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(is_number(value) for value in [*size, *counts]):
        raise ValueError("its run lengths are not numbers")
    if max(size) > 2**16 or max(counts, default=0) > 2**32:
        raise ValueError("its run lengths are larger than any image")
    return rle_from_runs([int(side) for side in size], [int(run) for run in counts])


def _drawn(polygons: tuple[tuple[float, ...], ...], info: ImageInfo, fractions: bool) -> Rle:
    """The polygons as a mask; points beyond the edge are moved onto it, as far-off ones would take for ever to draw."""
    inside = []
    for polygon in polygons:
        if len(polygon) % 2:
            raise ValueError(f"a polygon has {len(polygon)} values, which are not x, y pairs")
        points = np.array(polygon, np.float64).reshape(-1, 2)  # (P, 2)
        if fractions:
            points *= (info.width, info.height)
        inside.append(np.clip(points, 0, (info.width, info.height)).reshape(-1).tolist())
    return mask_from_polygons(inside, info.height, info.width)


def _size(info: ImageInfo) -> str:
    return f"{info.width} x {info.height} px"


def _short(box: Box) -> str:
    return "[" + ", ".join(f"{side:g}" for side in box) + "]"
