"""Reads Pascal VOC: one XML file for each image, and lists of splits.

Format: The PASCAL VOC Development Kit, section "Annotation". Coordinates are 1-based pixel numbers, both ends
included: pixels xmin to xmax cover the continuous span from xmin - 1 to xmax, and that is how they are read here
(as torchvision's and detectron2's readers do for the left and top). Tools that write 0 in the left column differ
from that by one pixel, which is cut off at the edge.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from annotations.errors import ImportRefused
from annotations.importers.parsed import Parsed, ParsedCategory, ParsedFile, ParsedLabel
from annotations.importers.scan import find_files, find_images
from annotations.models import Split
from annotations.names import printable
from annotations.shapes import Box, is_number
from common.images import EXTENSIONS

MAX_XML_BYTES = 10 * 2**20
"""A larger file does not describe one image."""

MAX_XML_DEPTH = 32
"""VOC needs five; a million levels take seconds and prove nothing."""

_IMAGE_FOLDERS = ("JPEGImages", "images", "Images")
_XML = frozenset({".xml"})


def looks_like_voc(path: Path) -> bool:
    """Whether an XML file starts as an annotation of VOC does."""
    with path.open("rb") as file:
        return b"<annotation" in file.read(1000)


def voc_files(path: Path) -> list[Path]:
    """The XML files of a folder that may be annotations."""
    return [path] if path.is_file() else find_files(path, _XML)


def read_voc(path: Path, images_dir: Path | None = None, split: Split | None = None) -> Parsed:
    """The labels below a folder, and the pictures beside them that have none.

    Args:
        path: a folder that holds `Annotations`, or XML files themselves.
        images_dir: where the pictures are; beside the XML files, else in `JPEGImages` or `images`, when not given.
        split: only the images that the list of this name has (ImageSets/Main/train.txt), where there are lists.

    Raises:
        ImportRefused: no XML file, or no list for the split.
    """
    files = voc_files(path)
    if not files:
        raise ImportRefused(f"No XML file in {str(path)!r}. Name the folder that holds Annotations.")
    parsed = Parsed()
    by_folder: dict[Path, list[Path]] = {}
    for file in files:
        by_folder.setdefault(_annotations_folder(file, path), []).append(file)
    for folder, members in by_folder.items():
        _VocFolder(folder, images_dir, parsed).read(members, split)
    names = {label.category for file in parsed.files for label in file.labels}
    parsed.categories = [ParsedCategory(name) for name in sorted(names)]  # VOC knows no order of classes
    return parsed


def _annotations_folder(file: Path, top: Path) -> Path:
    """The nearest folder called Annotations that the file is in; else its own."""
    for parent in file.parents:
        if parent.name.lower() == "annotations":
            return parent
        if parent == top:
            break
    return file.parent


def _has_images(folder: Path) -> bool:
    return any(member.suffix.lower() in EXTENSIONS for member in folder.iterdir())


class _VocFolder:
    """One `Annotations` folder with its pictures and lists."""

    def __init__(self, folder: Path, images_dir: Path | None, parsed: Parsed) -> None:
        self._folder = folder
        self._parsed = parsed
        # Pictures beside the labels come first: a folder called images next door may belong to something else.
        beside = [] if _has_images(folder) else [folder.parent / name for name in _IMAGE_FOLDERS]
        self._images = images_dir or next((found for found in beside if found.is_dir()), folder)

    def read(self, files: list[Path], split: Split | None) -> None:
        """Add what the files hold to what was parsed before."""
        lists = self._lists()
        if split is not None and lists and split not in lists:
            raise ImportRefused(
                f"There is no {split}.txt in {str(self._sets)!r}. There are: {', '.join(sorted(lists))}."
            )
        splits = {stem: name for name, stems in lists.items() for stem in stems}
        wanted = lists.get(split) if split is not None else None
        used: set[Path] = set()
        for file in files:
            stem = file.relative_to(self._folder).with_suffix("").as_posix()
            if wanted is None or stem in wanted:
                found = self._read_file(file, stem, splits.get(stem))
                if found is not None:
                    self._parsed.files.append(found)
                    used.add(found.path)
        labelled = {file.relative_to(self._folder).with_suffix("").as_posix() for file in files}
        for stem, image in self._by_stem.items():
            is_wanted = stem in wanted if wanted is not None else True
            if is_wanted and stem not in labelled and image not in used:
                self._parsed.files.append(ParsedFile(image, self._name(image), splits.get(stem)))

    @property
    def _sets(self) -> Path:
        return self._folder.parent / "ImageSets" / "Main"

    def _lists(self) -> dict[Split, set[str]]:
        """The image names (no extension) of each list that is there."""
        found: dict[Split, set[str]] = {}
        for split in get_args(Split):
            file = self._sets / f"{split}.txt"
            if file.is_file():
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
                found[split] = {line.split()[0] for line in lines if line.strip()}
        return found

    @cached_property
    def _by_stem(self) -> dict[str, Path]:
        return {self._name(image).rpartition(".")[0]: image for image in find_images(self._images)}

    @cached_property
    def _by_name(self) -> dict[str, Path]:
        return {self._name(image): image for image in self._by_stem.values()}

    def _name(self, image: Path) -> str:
        return image.relative_to(self._images).as_posix()

    def _read_file(self, file: Path, stem: str, split: Split | None) -> ParsedFile | None:
        what = printable(file.name)
        try:
            root = _root(file)
        except ValueError as error:
            self._parsed.skip(what, str(error))
            return None
        filename = (root.findtext("filename") or "").strip()
        image = self._by_stem.get(stem) or self._by_name.get(filename)
        if image is None:
            self._parsed.skip(
                what, f"its image {printable(filename)[:80]!r} is not in {printable(str(self._images))!r}"
            )
            return None
        labels = tuple(self._labels(root, what))
        return ParsedFile(image, self._name(image), split, labels, is_labelled=True, size_wh=_size(root))

    def _labels(self, root: ElementTree.Element, what: str) -> Iterator[ParsedLabel]:
        for place, row in enumerate(root.findall("object"), start=1):
            name = (row.findtext("name") or "").strip()
            try:
                box = _box(row)
            except ValueError as error:
                self._parsed.skip(f"{what}: object {place} ({printable(name)[:60]})", str(error))
                continue
            yield ParsedLabel(f"object {place}", name, box)


def _root(file: Path) -> ElementTree.Element:
    if file.stat().st_size > MAX_XML_BYTES:
        raise ValueError(f"the file has more than {MAX_XML_BYTES:,} bytes")
    try:
        parser = DefusedXMLParser(target=_ShallowTree(), forbid_dtd=True)
        parser.feed(file.read_bytes())
        root = parser.close()
    except DefusedXmlException as error:
        raise ValueError("it declares a document type or entities, which annotations do not need") from error
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise ValueError(f"it is not valid XML ({printable(str(error))})") from error
    if not isinstance(root, ElementTree.Element) or root.tag != "annotation":
        raise ValueError("it is not an annotation of Pascal VOC")
    return root


class _ShallowTree(ElementTree.TreeBuilder):
    """Builds the tree, and gives up on one that is nested deeper than any annotation."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: Any, attrs: dict[Any, Any], /) -> ElementTree.Element:
        self._depth += 1
        if self._depth > MAX_XML_DEPTH:
            raise ValueError(f"nested more than {MAX_XML_DEPTH} levels deep")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """The size the file declares; None where it declares none (some tools write 0)."""
    try:
        width, height = (int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _box(row: ElementTree.Element) -> Box:
    corners = []
    for side in ("xmin", "ymin", "xmax", "ymax"):
        text = row.findtext(f"bndbox/{side}")
        try:
            corners.append(float(text or ""))
        except ValueError as error:
            raise ValueError(f"its {side} is {printable(repr(text))[:40]}, not a number") from error
    if not all(is_number(value) for value in corners):
        raise ValueError("its box is not finite")
    xmin, ymin, xmax, ymax = corners
    if xmin >= xmax or ymin >= ymax:
        raise ValueError(f"the box [{xmin:g}, {ymin:g}, {xmax:g}, {ymax:g}] has no area")
    return max(xmin - 1, 0.0), max(ymin - 1, 0.0), xmax, ymax
