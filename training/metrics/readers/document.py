"""A benchmark's JSON file, checked row by row as it is read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from annotations.names import is_inside, printable, shortened
from common.boxes import Boxes
from training.errors import LayoutRefused
from training.metrics.coco import Labels
from training.metrics.readers.samples import ImageFile, Span

_LARGEST = 1e9  # pixels, square pixels: what is larger is a fault of the file
_PICKLES = frozenset({".p", ".pkl", ".pickle"})

Identity = int | str


@dataclass(frozen=True)
class Row:
    """An object of the file with the place it stands at.

    Each reading method takes the key and raises LayoutRefused with the place where the value is absent or no good.

    Attributes:
        where: such as "lvis_v1_val.json: images[3]".
        values: as in the file.
    """

    where: str
    values: Mapping[str, Any]

    def value(self, key: str) -> Any:
        """What stands there."""
        if key not in self.values:
            raise LayoutRefused(f"{self.where} has no {key!r}. Name a file of the layout you asked for.")
        return self.values[key]

    def refuse(self, key: str, needed: str) -> NoReturn:
        """Say that the value of a key is not what is needed."""
        shown = shortened(printable(repr(self.values.get(key))), 60)
        raise LayoutRefused(f"{self.where} has {key!r} {shown}, not {needed}. Correct the file or export it again.")

    def text(self, key: str) -> str:
        """Text with at least one character that is not space."""
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            self.refuse(key, "text")
        return value

    def identity(self, key: str) -> Identity:
        """The id of something: a whole number or text."""
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int | str):
            self.refuse(key, "an id (a whole number or text)")
        return value

    def identities(self, key: str, default: Sequence[int] | None = None) -> list[Identity]:
        """A list of ids; the default where the key is absent."""
        if default is not None and key not in self.values:
            return list(default)
        value = self.value(key)
        if not isinstance(value, list) or any(isinstance(v, bool) or not isinstance(v, int | str) for v in value):
            self.refuse(key, "a list of ids")
        return value

    def pixels(self, key: str) -> int:
        """A side of an image; Flickr's files write it as text."""
        value = self.value(key)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            self.refuse(key, "a number of pixels")
        return value

    def box(self, image: ImageFile) -> tuple[float, float, float, float]:
        """`bbox` as x1, y1, x2, y2; it may stick out of the image, as published ones do, but not lie outside."""
        value = self.value("bbox")
        if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
            self.refuse("bbox", "four finite numbers (left, top, width, height)")
        x, y, width, height = (float(number) for number in value)
        if width < 0 or height < 0:
            self.refuse("bbox", "left, top, width, height with sides of at least 0")
        if x > image.width or y > image.height or x + width < 0 or y + height < 0:
            self.refuse("bbox", f"a box inside its image of {image.width} x {image.height} px")
        return x, y, x + width, y + height

    def spans(self, key: str, text: str) -> tuple[Span, ...]:
        """A list of [start, end) characters of `text`, at least one."""
        return tuple(self._span(key, span, text) for span in self._list(key, self.value(key)))

    def phrases(self, key: str, text: str) -> tuple[tuple[Span, ...], ...]:
        """A list of phrases, each a list of [start, end) characters of `text`."""
        value = self.value(key)
        if not isinstance(value, list):
            self.refuse(key, "a list of phrases")
        return tuple(tuple(self._span(key, span, text) for span in self._list(key, phrase)) for phrase in value)

    def _list(self, key: str, value: object) -> list[Any]:
        if not isinstance(value, list) or not value:
            self.refuse(key, "lists of [start, end] characters")
        return value

    def _span(self, key: str, span: object, text: str) -> Span:
        if not isinstance(span, list) or len(span) != 2 or not all(type(end) is int for end in span):
            self.refuse(key, "lists of [start, end] characters")
        start, end = span
        if not 0 <= start < end <= len(text):
            self.refuse(key, f"spans inside the {len(text)} characters of its text")
        return start, end


@dataclass(frozen=True)
class Document:
    """A file with images and annotations.

    Attributes:
        file_name: of the JSON file, for error lines.
        values: all of it.
        images: id -> row, in the file's order.
        annotations: id of the image -> rows, in the file's order.
    """

    file_name: str
    values: Mapping[str, Any]
    images: Mapping[Identity, Row]
    annotations: Mapping[Identity, Sequence[Row]]

    def rows(self, key: str) -> list[Row]:
        """The objects of a list of the file."""
        return list(rows_of(self.file_name, self.values, key))

    def categories(self) -> "Categories":
        """Id -> index and row of each category, in the file's order."""
        found: Categories = {}
        for index, row in enumerate(self.rows("categories")):
            identity = row.identity("id")
            if identity in found:
                row.refuse("id", "an id of its own: another category has it")
            found[identity] = (index, row)
        return found


Categories = dict[Identity, tuple[int, Row]]


def read_document(path: Path, instead: str) -> Document:
    """A JSON file of images and annotations.

    Args:
        path: the file.
        instead: which file of the benchmark to name in place of a pickle.

    Raises:
        LayoutRefused: no such file, a pickle, no JSON, NaN, or an annotation whose image is not in the file.
    """
    values = read_json(path, instead)
    if not isinstance(values, dict):
        raise LayoutRefused(f"{path.name} holds a {type(values).__name__}, not an object with images. {instead}")
    images: dict[Identity, Row] = {}
    for row in rows_of(path.name, values, "images"):
        identity = row.identity("id")
        if identity in images:
            row.refuse("id", "an id of its own: another image has it")
        images[identity] = row
    annotations: dict[Identity, list[Row]] = {identity: [] for identity in images}
    for row in rows_of(path.name, values, "annotations"):
        identity = row.identity("image_id")
        if identity not in annotations:
            row.refuse("image_id", "the id of an image of this file")
        annotations[identity].append(row)
    return Document(path.name, values, images, annotations)


def read_json(path: Path, instead: str) -> Any:
    """The values of a JSON file; arguments and errors as those of `read_document`."""
    if path.suffix.lower() in _PICKLES:
        raise LayoutRefused(f"{path.name} is a pickle, which could run code when it is read. {instead}")
    if not path.is_file():
        raise LayoutRefused(f"There is no file at {str(path)!r}. {instead}")
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise LayoutRefused(f"{path.name} is nested too deeply. {instead}") from error
    except ValueError as error:
        raise LayoutRefused(f"{path.name} is not valid JSON ({error}). Download it again.") from error


def rows_of(file_name: str, values: Mapping[str, Any], key: str) -> Iterator[Row]:
    """The objects of a list of the file, each with its place."""
    if not isinstance(values.get(key), list):
        raise LayoutRefused(f"{file_name} has no list {key!r}. Name a file of the layout you asked for.")
    for place, row in enumerate(values[key]):
        where = f"{file_name}: {key}[{place}]"
        if not isinstance(row, dict):
            raise LayoutRefused(f"{where} is a {type(row).__name__}, not an object. Export the file again.")
        yield Row(where, row)


def image_file(row: Row) -> ImageFile:
    """The picture of an image's row; LVIS names it by its address alone, of which folder and name are kept."""
    key = "file_name" if "file_name" in row.values else "coco_url"
    if key not in row.values:
        raise LayoutRefused(f"{row.where} has no 'file_name' (nor 'coco_url'). Name a file with images.")
    name = row.text(key)
    if key == "coco_url":
        name = "/".join(name.split("/")[-2:])
    if not is_inside(name):
        row.refuse(key, "a path within the folder of images")
    return ImageFile(name, row.pixels("width"), row.pixels("height"))


def labels_of(rows: Sequence[Row], image: ImageFile, categories: Categories) -> Labels:
    """The boxes of an image's annotations with their classes (places of the categories), crowds and areas."""
    boxes = [row.box(image) for row in rows]
    return Labels(
        as_boxes(boxes),
        np.array([_class_of(row, categories) for row in rows], np.int64),
        np.array([row.values.get("iscrowd") in (1, True) for row in rows], bool),
        np.array([_area(row, box) for row, box in zip(rows, boxes, strict=True)], np.float64),
    )


def as_boxes(boxes: Sequence[tuple[float, float, float, float]]) -> Boxes:
    """(N, 4) float32; N may be 0."""
    return np.array(boxes, np.float32).reshape(-1, 4)


def _class_of(row: Row, categories: Categories) -> int:
    identity = row.identity("category_id")
    if identity not in categories:
        row.refuse("category_id", "the id of a category of this file")
    return categories[identity][0]


def _area(row: Row, box: tuple[float, float, float, float]) -> float:
    """That of the outline where the file gives it, else of the box; square pixels."""
    given: Any = row.values.get("area")
    if _is_number(given) and given >= 0:
        return float(given)
    return (box[2] - box[0]) * (box[3] - box[1])


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST  # also false for NaN and infinity


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")
