"""Captions of images: texts, which of their characters mean what, and where it is. Read and written here."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from sqlalchemy import ColumnElement, exists, func, insert, select
from sqlalchemy.orm import Session

from annotations.errors import EditRefused
from annotations.models import Caption, CaptionKind, Image, Region, Split
from annotations.names import printable, shortened
from annotations.queries import image_by_id
from annotations.shapes import Box, clipped_box
from common.boxes import Boxes

MAX_CAPTION_LENGTH = 10_000
"""In characters; a detector reads about a thousand."""

Span = tuple[int, int]
"""[start, end) in characters of a text."""


@dataclass(frozen=True, eq=False)
class Phrase:
    """Some words of a text and the things they mean.

    Attributes:
        spans: in the text's order, none overlapping another; several where the words are not side by side.
        boxes_xyxy: (N, 4) float32 pixels of the upright image, N from 1: "two cats" means two boxes.
    """

    spans: tuple[Span, ...]
    boxes_xyxy: Boxes


@dataclass(frozen=True, eq=False)
class CaptionText:
    """A text about one image; it checks itself.

    An expression has one phrase whose spans cover the text; or none: nothing on the image is meant.
    A caption has one phrase or more, and words that belong to none.

    Raises:
        EditRefused: one line for the first fault found.
    """

    id: int  # 0: not stored yet
    text: str
    kind: CaptionKind
    phrases: tuple[Phrase, ...]

    def __post_init__(self) -> None:
        if (fault := _fault(self)) is not None:
            raise EditRefused(fault)

    @property
    def content(self) -> Hashable:
        """Equal for texts that say the same of the same places, stored or not."""
        phrases = tuple((phrase.spans, phrase.boxes_xyxy.round(2).tobytes()) for phrase in self.phrases)
        return self.kind, self.text, phrases


@dataclass(frozen=True, eq=False)
class CaptionedImage:
    """An image with at least one text about it."""

    id: int
    path: str
    file_name: str
    width: int  # pixels, upright
    height: int
    split: Split | None
    captions: tuple[CaptionText, ...]


def expression(text: str, boxes_xyxy: Boxes) -> CaptionText:
    """A new expression that means these boxes, (N, 4); none of them: it means nothing on its image."""
    phrases = (Phrase(((0, len(text)),), boxes_xyxy),) if len(boxes_xyxy) else ()
    return CaptionText(0, text, "expression", phrases)


def captioned_images(session: Session, dataset_id: int, split: Split | None = None) -> list[CaptionedImage]:
    """The images that have captions or expressions, in import order, with all of theirs; three statements.

    Args:
        session: to read from.
        dataset_id: which dataset.
        split: only images of this split; None: all, whatever their split.
    """
    conditions = [Image.dataset_id == dataset_id, exists().where(Caption.image_id == Image.id).correlate(Image)]
    if split is not None:
        conditions.append(Image.split == split)
    images = session.execute(
        select(Image.id, Image.path, Image.file_name, Image.width, Image.height, Image.split)
        .where(*conditions)
        .order_by(Image.position)
    ).all()
    by_image = _texts_by_image(session, *conditions)
    return [CaptionedImage(*row, captions=tuple(by_image[row.id])) for row in images]


def image_captions(session: Session, image_id: int) -> list[CaptionText]:
    """The texts about one image, in their order."""
    return _texts_by_image(session, Image.id == image_id).get(image_id, [])


def add_captions(session: Session, image_id: int, texts: Sequence[CaptionText]) -> list[int]:
    """Add texts to an image, after those it has; boxes are cut at its edge. All of them or, when refused, none.

    Returns:
        Their ids.

    Raises:
        NotFound: no such image.
        EditRefused: a box covers less than 1 px a side of the image.
    """
    image = image_by_id(session, image_id)
    regions = [list(_region_rows(text, image)) for text in texts]
    last = session.scalar(select(func.max(Caption.position)).where(Caption.image_id == image_id))
    first = 0 if last is None else last + 1
    rows = [
        Caption(image_id=image_id, text=text.text, kind=text.kind, position=first + number)
        for number, text in enumerate(texts)
    ]
    session.add_all(rows)
    session.flush()  # gives the captions their ids
    values = [{"caption_id": row.id, **value} for row, rows_of in zip(rows, regions, strict=True) for value in rows_of]
    if values:
        session.execute(insert(Region), values)
    return [row.id for row in rows]


def _texts_by_image(session: Session, *conditions: ColumnElement[bool]) -> dict[int, list[CaptionText]]:
    """The texts about the images that match, in their order; two statements."""
    texts = session.execute(
        select(Caption.id, Caption.image_id, Caption.text, Caption.kind)
        .join(Image, Image.id == Caption.image_id)
        .where(*conditions)
        .order_by(Caption.image_id, Caption.position)
    ).all()
    query = (
        select(Region.caption_id, Region.phrase_index, Region.spans, Region.x1, Region.y1, Region.x2, Region.y2)
        .join(Caption, Caption.id == Region.caption_id)
        .join(Image, Image.id == Caption.image_id)
        .where(*conditions)
        .order_by(Region.caption_id, Region.phrase_index, Region.id)
    )
    regions: dict[int, list[Any]] = {row.id: [] for row in texts}
    for region in session.execute(query):
        regions[region.caption_id].append(region)
    by_image: dict[int, list[CaptionText]] = {}
    for caption_id, image_id, text, kind in texts:
        caption = CaptionText(caption_id, text, kind, tuple(_phrases(regions[caption_id])))
        by_image.setdefault(image_id, []).append(caption)
    return by_image


def _phrases(regions: Sequence[Any]) -> Iterator[Phrase]:
    """The phrases of one caption from its rows, which come by phrase."""
    by_phrase: dict[int, list[Any]] = {}
    for row in regions:
        by_phrase.setdefault(row.phrase_index, []).append(row)
    for rows in by_phrase.values():
        spans = tuple((int(start), int(end)) for start, end in rows[0].spans)
        yield Phrase(spans, np.array([row[3:7] for row in rows], np.float32).reshape(-1, 4))


def _region_rows(text: CaptionText, image: Image) -> Iterator[dict[str, Any]]:
    for index, phrase in enumerate(text.phrases):
        for x1, y1, x2, y2 in phrase.boxes_xyxy.astype(np.float64).tolist():
            box = _box_on(text, (x1, y1, x2, y2), image)
            values = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
            yield {"phrase_index": index, "spans": [list(span) for span in phrase.spans], **values}


def _box_on(text: CaptionText, box: Box, image: Image) -> Box:
    clipped = clipped_box(box, image.width, image.height)
    if clipped is None:
        raise EditRefused(
            f"A box of {_quoted(text.text)} covers less than 1 px a side of the "
            f"{image.width} x {image.height} px image. Correct it."
        )
    return clipped


def _fault(caption: CaptionText) -> str | None:
    text, name = caption.text, _quoted(caption.text)
    if not text.strip():
        return "The caption is empty. Type at least one word."
    if len(text) > MAX_CAPTION_LENGTH:
        return f"The caption {name} has {len(text)} characters; {MAX_CAPTION_LENGTH} is the most. Shorten it."
    if printable(text) != text:
        return f"The caption {name} holds a line break or control character. Put a space in its place."
    if caption.kind not in get_args(CaptionKind):
        return f"{caption.kind!r} is no kind of caption. Use one of {', '.join(get_args(CaptionKind))}."
    if caption.kind == "caption" and not caption.phrases:
        return f"The caption {name} has no phrase with a box. Mark one, or call it an expression if it means nothing."
    if caption.kind == "expression" and len(caption.phrases) > 1:
        return f"The expression {name} has {len(caption.phrases)} phrases. Keep one, of all its words."
    for phrase in caption.phrases:
        if (fault := _phrase_fault(phrase, text)) is not None:
            return f"{fault} in {name}."
    if caption.kind == "expression" and caption.phrases and not covers(caption.phrases[0].spans, text):
        return f"The spans of the expression {name} leave words out. Mark all of it."
    return None


def _phrase_fault(phrase: Phrase, text: str) -> str | None:
    if not phrase.spans:
        return "A phrase without a span"
    if phrase.boxes_xyxy.ndim != 2 or phrase.boxes_xyxy.shape[1:] != (4,) or not len(phrase.boxes_xyxy):
        return f"A phrase with boxes of shape {phrase.boxes_xyxy.shape} instead of (1 or more, 4)"
    if not np.isfinite(phrase.boxes_xyxy).all() or (phrase.boxes_xyxy[:, :2] >= phrase.boxes_xyxy[:, 2:]).any():
        return "A phrase with a box that is not finite or has no area"
    end_before = 0
    for start, end in phrase.spans:
        if not end_before <= start < end <= len(text):
            return f"The span [{start}, {end}) is reversed, out of order, or not within the {len(text)} characters"
        if not text[start:end].strip():
            return f"The span [{start}, {end}) marks no word"
        end_before = end
    return None


def covers(spans: Sequence[Span], text: str) -> bool:
    """Whether every word of a text lies in a span: spaces and full stops need none."""
    left_out = list(text)
    for start, end in spans:
        left_out[start:end] = [" "] * (end - start)
    return not "".join(left_out).strip(" .?!,")


def _quoted(text: str) -> str:
    return f"'{shortened(printable(text))}'"
