"""Reads ODVG: JSON lines, each of a picture with boxes of categories, or with a text whose phrases have boxes.

Format: https://github.com/longzw1997/Open-GroundingDino (data_format.md) and MMDetection's ODVGDataset; our reading
of it stands in docs/odvg.md. Boxes are [x1, y1, x2, y2] in pixels, spans are [start, end) in characters.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from annotations.errors import ImportRefused
from annotations.importers.odvg_labels import LabelMap, label_map_of
from annotations.importers.odvg_texts import grounding_caption
from annotations.importers.parsed import Parsed, ParsedCaption, ParsedCategory, ParsedFile, ParsedLabel, split_of
from annotations.importers.scan import images_near
from annotations.models import Split
from annotations.names import is_inside, printable, shortened
from annotations.shapes import four_numbers

MAX_LINE_BYTES = 16 * 2**20
"""A longer line does not describe one picture: 2,000 boxes take a hundredth of it."""

_LINES_TO_LOOK_FOR = 20  # whose pictures tell the folder
_SNIFFED_BYTES = 2**20  # of a first line that ends in time to tell


def looks_like_odvg(path: Path) -> bool:
    """Whether a file starts with a line that names a picture with boxes or a text."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            row = json.loads(file.readline(_SNIFFED_BYTES))
        except (ValueError, RecursionError):
            return False
    return isinstance(row, dict) and "filename" in row and ("detection" in row or "grounding" in row)


def odvg_files(path: Path) -> list[Path]:
    """The ODVG files of a folder: itself, its `annotations` folder; MMDetection's tools call them .json."""
    if path.is_file():
        return [path]
    patterns = ("*.jsonl", "*.json", "annotations/*.jsonl", "annotations/*.json")
    return [file for pattern in patterns for file in sorted(path.glob(pattern)) if looks_like_odvg(file)]


def read_odvg(path: Path, images_dir: Path | None = None, split: Split | None = None) -> Parsed:
    """All boxes, captions and expressions of one ODVG file, or of the ODVG files of a folder.

    Args:
        path: a file, or a folder that holds some.
        images_dir: where the pictures are; looked for around the file when not given.
        split: of several files only that one (flickr_val.jsonl is val's).

    Raises:
        ImportRefused: no such file, no line of it can be used, or a broken label map.
    """
    files = odvg_files(path)
    if split is not None and any(split_of(file.stem) for file in files):
        files = [file for file in files if split_of(file.stem) in (split, None)]
    if not files:
        raise ImportRefused(f"No ODVG file (JSON lines with filename) in {printable(str(path))!r}. Name the file.")
    parsed = Parsed()
    for file in files:
        _OdvgFile(file, images_dir, parsed).read()
    parsed.merge_files()
    return parsed


@dataclass(frozen=True)
class _Line:
    number: int
    row: Mapping[str, Any]


class _OdvgFile:
    """One file on its way in."""

    def __init__(self, file: Path, images_dir: Path | None, parsed: Parsed) -> None:
        self._file = file
        self._images_dir = images_dir
        self._parsed = parsed
        self._split = split_of(file.stem)
        self._names: LabelMap | None = None
        self._first_line: dict[bytes, int] = {}
        self._size_wh: dict[str, tuple[int, int]] = {}
        self._categories: dict[tuple[float, str], None] = {}  # by label, then by name

    def read(self) -> None:
        """Add what the file holds to what was parsed before."""
        self._names = label_map_of(self._file)
        lines = self._lines()
        head = list(islice(lines, _LINES_TO_LOOK_FOR))
        if not head:
            first = self._parsed.skipped[-1].reason if self._parsed.skipped else "it is empty"
            raise ImportRefused(f"No line of {printable(self._file.name)!r} is ODVG ({first}). Correct the file.")
        folder = self._images_dir or images_near(self._file, [line.row["filename"] for line in head])
        for line in chain(head, lines):
            try:
                self._parsed.files.append(self._parsed_file(line, folder))
            except ValueError as error:
                self._skip(line.number, str(error))
        if self._names is not None:
            self._parsed.categories += [ParsedCategory(name) for name in self._names.values()]
        else:
            self._parsed.categories += [ParsedCategory(name) for _, name in sorted(self._categories)]

    def _skip(self, number: int, reason: str, part: str = "") -> None:
        self._parsed.skip(f"{self._file.name}: line {number}{part}", printable(reason))

    def _lines(self) -> Iterator[_Line]:
        """The lines that are about a picture; the others are reported."""
        for number, text in _raw_lines(self._file):
            if text is None:
                self._skip(number, f"it has more than {MAX_LINE_BYTES:,} bytes")
                continue
            digest = blake2b(text, digest_size=16).digest()
            first = self._first_line.setdefault(digest, number)
            if first != number:
                self._skip(number, f"it repeats line {first}")
                continue
            try:
                yield _Line(number, _row(text))
            except ValueError as error:
                self._skip(number, str(error))

    def _parsed_file(self, line: _Line, folder: Path) -> ParsedFile:
        name = PurePosixPath(line.row["filename"]).as_posix()
        size_wh = _size(line.row)
        if size_wh is not None and self._size_wh.setdefault(name, size_wh) != size_wh:
            raise ValueError(f"it says {size_wh[0]} x {size_wh[1]} px, a line before it another size of {name}")
        labels = tuple(self._labels(line))
        captions = tuple(self._captions(line))
        return ParsedFile(
            folder / name,
            name,
            self._split,
            labels,
            is_labelled="detection" in line.row,
            size_wh=size_wh,
            captions=captions,
        )

    def _labels(self, line: _Line) -> Iterator[ParsedLabel]:
        if "detection" not in line.row:
            return
        detection = line.row["detection"]
        instances = detection.get("instances") if isinstance(detection, dict) else None
        if not isinstance(instances, list):
            raise ValueError("its detection has no list of instances")
        for place, instance in enumerate(instances, start=1):
            try:
                yield self._label(f"line {line.number}, box {place}", instance)
            except ValueError as error:
                self._skip(line.number, str(error), f", box {place}")

    def _label(self, where: str, instance: object) -> ParsedLabel:
        if not isinstance(instance, dict):
            raise ValueError(f"it is {_brief(instance)}, not an object")
        category = self._category(instance.get("label"), instance.get("category"))
        return ParsedLabel(where, category, four_numbers(instance.get("bbox")))

    def _category(self, label: object, category: object) -> str:
        """The name of a box's category: the label map's, which its own name may not contradict."""
        own = category if isinstance(category, str) and category.strip() else None
        number = _number(label)
        if self._names is None:
            if own is None:
                raise ValueError(f"its label {_brief(label)} has no name: give it a category, or the file a label map")
            self._categories[float("inf") if number is None else number, own.strip()] = None
            return own
        if number is None and own is not None and own in self._names.values():
            return own
        if number is None or number not in self._names:
            raise ValueError(f"its label {_brief(label)} is not in the label map")
        name = self._names[number]
        if own is not None and _plain(own) != _plain(name):
            raise ValueError(f"its label {number} is {_brief(name)} in the label map, its category says {_brief(own)}")
        return name

    def _captions(self, line: _Line) -> Iterator[ParsedCaption]:
        if "grounding" in line.row:
            try:
                yield grounding_caption(f"line {line.number}", line.row["grounding"])
            except ValueError as error:
                self._skip(line.number, f"grounding left out: {error}")


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """The lines that hold something, numbered from 1; None for one that is too long, which is passed over unread."""
    with path.open("rb") as file:
        number = 0
        while text := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(text) > MAX_LINE_BYTES:
                while not text.endswith(b"\n") and (text := file.readline(MAX_LINE_BYTES)):
                    pass
                yield number, None
            elif text.strip():
                yield number, text.strip()


def _row(text: bytes) -> dict[str, Any]:
    """One line as an object that names a picture and says something about it."""
    try:
        row = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply to be ODVG") from error
    except ValueError as error:  # of JSON, of text that is no UTF-8, of numbers with thousands of digits
        raise ValueError(f"it is not valid JSON ({shortened(str(error), 80)})") from error
    if not isinstance(row, dict):
        raise ValueError(f"it is {_brief(row)}, not an object")
    if not is_inside(row.get("filename")):
        raise ValueError(f"its filename {_brief(row.get('filename'))} does not stay within the images folder")
    if "detection" not in row and "grounding" not in row:
        raise ValueError("it has neither detection nor grounding")
    return row


def _size(row: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = row.get("width"), row.get("height")
    if isinstance(width, int) and isinstance(height, int) and 0 < width < 2**31 and 0 < height < 2**31:
        return width, height
    return None


def _number(label: object) -> int | None:
    """A label as a number; some tools write it as text."""
    if isinstance(label, str) and label.isdecimal() and len(label) < 10:
        return int(label)
    return label if isinstance(label, int) and not isinstance(label, bool) else None


def _plain(name: str) -> str:
    """A name as far as tools agree on it: some write `cell_phone` in one place and `Cell phone` in the other."""
    return " ".join(name.replace("_", " ").lower().split())


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _brief(value: object) -> str:
    return shortened(printable(repr(value)))
