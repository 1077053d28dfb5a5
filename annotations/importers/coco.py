"""Reads COCO instance files: boxes, polygons, run lengths.

Format: https://cocodataset.org/#format-data. `bbox` is [left, top, width, height] in continuous pixels from 0.
"""

import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from annotations.errors import ImportRefused
from annotations.importers.parsed import Parsed, ParsedCategory, ParsedFile, ParsedLabel, split_of
from annotations.importers.scan import images_near
from annotations.models import Split
from annotations.names import is_inside, printable, shortened
from annotations.shapes import Box, four_numbers, is_number

MAX_JSON_BYTES = 2**30
"""Larger files are refused: they would not fit in memory beside everything else."""

_OWN_EXPORT = "annotations.json"  # holds all splits; the files beside it repeat parts of it


def looks_like_coco(path: Path) -> bool:
    """Whether a JSON file speaks of images and annotations; nothing is parsed."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b'"images"') >= 0 and content.find(b'"annotations"') >= 0


def coco_files(path: Path) -> list[Path]:
    """The COCO files of a folder: itself, its `annotations` folder; our own export's main file alone."""
    if path.is_file():
        return [path]
    if looks_like_coco(path / _OWN_EXPORT):
        return [path / _OWN_EXPORT]
    candidates = [*sorted(path.glob("*.json")), *sorted(path.glob("annotations/*.json"))]
    found = [candidate for candidate in candidates if looks_like_coco(candidate)]
    # COCO's own folder repeats the people of instances_*.json in person_keypoints_*.json.
    return [file for file in found if file.name.startswith("instances")] or found


def read_coco(path: Path, images_dir: Path | None = None, split: Split | None = None) -> Parsed:
    """All labels of one COCO file, or of the COCO files of a folder.

    Args:
        path: a JSON file, or a folder that holds some.
        images_dir: where the pictures are; looked for around the file when not given.
        split: of several files only that one (instances_val.json is val's).

    Raises:
        ImportRefused: no such file, broken JSON, NaN, or not COCO.
    """
    files = coco_files(path)
    if split is not None and any(split_of(file.stem) for file in files):
        files = [file for file in files if split_of(file.stem) in (split, None)]
    if not files:
        raise ImportRefused(f"No COCO file (images, annotations, categories) in {str(path)!r}. Name the JSON file.")
    parsed = Parsed()
    for file in files:
        document = _document(file)
        _CocoFile(file, document, images_dir or _images_dir(file, document), parsed).read()
    parsed.merge_files()
    return parsed


def _document(file: Path) -> dict[str, Any]:
    size = file.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ImportRefused(f"{file.name} has {size:,} bytes; {MAX_JSON_BYTES:,} is the most. Split it.")
    try:
        document = json.loads(file.read_bytes(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ImportRefused(f"{file.name} is nested too deeply to be COCO. Export it again.") from error
    except ValueError as error:
        raise ImportRefused(f"{file.name} is not valid JSON ({error}). Export it again.") from error
    if not isinstance(document, dict):
        raise ImportRefused(f"{file.name} holds a {type(document).__name__}, not a COCO object. Name another file.")
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            raise ImportRefused(f"{file.name} has no list {key!r}, so it is not a COCO file. Name another file.")
    if any(isinstance(row, dict) and "segments_info" in row for row in document["annotations"][:1]):
        raise ImportRefused(f"{file.name} is a panoptic file. Name one with boxes, polygons or RLE (instances).")
    return document


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _images_dir(file: Path, document: Mapping[str, Any]) -> Path:
    return images_near(file, [row.get("file_name") for row in document["images"][:20] if isinstance(row, dict)])


class _CocoFile:
    """One file on its way in."""

    def __init__(self, file: Path, document: Mapping[str, Any], images_dir: Path, parsed: Parsed) -> None:
        self._name = file.name
        self._document = document
        self._images_dir = images_dir
        self._split = split_of(file.stem)
        self._parsed = parsed
        self._categories: dict[int, str] = {}
        self._labels: dict[int, list[ParsedLabel]] = {}

    def read(self) -> None:
        """Add what the file holds to what was parsed before."""
        self._read_categories()
        images = dict(self._images())
        self._labels = {image_id: [] for image_id in images}
        self._read_annotations()
        for image_id, row in images.items():
            self._parsed.files.append(self._file(row, tuple(self._labels[image_id])))

    def _skip(self, what: str, reason: str) -> None:
        self._parsed.skip(f"{self._name}: {what}", reason)

    def _rows(self, key: str, what: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows of a list with their ids; rows without one, or with one that was there before, are left out."""
        seen: set[int] = set()
        for place, row in enumerate(self._document[key]):
            number = row.get("id") if isinstance(row, dict) else None
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
                self._skip(f"{what} at place {place + 1}", f"its id is {_brief(number)}, not a whole number")
            elif number in seen:
                self._skip(f"{what} {number}", "another one before it has the same id")
            else:
                seen.add(number)
                yield number, row

    def _read_categories(self) -> None:
        for number, row in self._rows("categories", "category"):
            name = row.get("name")
            if not isinstance(name, str):
                self._skip(f"category {number}", f"its name is {_brief(name)}, not text")
                continue
            self._categories[number] = name
            self._parsed.categories.append(ParsedCategory(name, number))

    def _images(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, row in self._rows("images", "image"):
            if is_inside(row.get("file_name")):
                yield number, row
            else:
                reason = "its file_name does not stay within the images folder"
                self._skip(f"image {number} ({_brief(row.get('file_name'))})", reason)

    def _file(self, row: Mapping[str, Any], labels: tuple[ParsedLabel, ...]) -> ParsedFile:
        width, height = row.get("width"), row.get("height")
        has_size = all(isinstance(side, int) and side > 0 for side in (width, height))
        said = row.get("split")
        split: Split | None = said if said in ("train", "val", "test") else self._split
        name = PurePosixPath(row["file_name"]).as_posix()
        size_wh = (int(str(width)), int(str(height))) if has_size else None
        return ParsedFile(self._images_dir / name, name, split, labels, is_labelled=True, size_wh=size_wh)

    def _read_annotations(self) -> None:
        for number, row in self._rows("annotations", "annotation"):
            what = f"annotation {number}"
            image_id, category_id = row.get("image_id"), row.get("category_id")
            if not isinstance(image_id, int) or image_id not in self._labels:
                self._skip(what, f"its image {_brief(image_id)} is not in the file")
            elif not isinstance(category_id, int) or category_id not in self._categories:
                self._skip(what, f"its category {_brief(category_id)} is not in the file")
            else:
                try:
                    label = _label(what, self._categories[category_id], row)
                except ValueError as error:
                    self._skip(what, str(error))
                else:
                    self._labels[image_id].append(label)


def _label(where: str, category: str, row: Mapping[str, Any]) -> ParsedLabel:
    box = None
    if row.get("bbox") not in (None, []):
        x, y, width, height = _bbox(row["bbox"])
        box = (x, y, round(x + width, 6), round(y + height, 6))
    shape = row.get("segmentation")
    polygons: tuple[tuple[float, ...], ...] = ()
    rle = shape if isinstance(shape, dict) else None
    if isinstance(shape, list):
        if not all(isinstance(part, list) and all(is_number(value) for value in part) for part in shape):
            raise ValueError("its segmentation is not a list of polygons with finite numbers")
        polygons = tuple(tuple(float(value) for value in part) for part in shape if part)
    return ParsedLabel(where, category, box, polygons, rle, iscrowd=row.get("iscrowd") in (1, True))


def _bbox(value: object) -> Box:
    try:
        return four_numbers(value)
    except ValueError as error:
        raise ValueError(f"its bbox is {_brief(value)}, not four finite numbers") from error


def _brief(value: object) -> str:
    return shortened(printable(repr(value)))
