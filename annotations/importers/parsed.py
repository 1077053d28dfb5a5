"""What the readers of all formats hand on: files with their labels, nothing checked against the pixels yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from annotations.captions import Span
from annotations.models import CaptionKind, Split
from annotations.shapes import Box
from annotations.skipped import Skipped


@dataclass(frozen=True)
class ParsedLabel:
    """One object. At least one of box, polygons and rle is given.

    Coordinates are pixels, or fractions of the image's sides where the file says so.
    """

    where: str  # for the report: "annotation 12", "line 3"
    category: str  # the name as the file has it
    xyxy: Box | None = None
    polygons: tuple[tuple[float, ...], ...] = ()  # each x1, y1, x2, y2, ...
    rle: Mapping[str, Any] | None = None  # COCO RLE, compressed or not
    iscrowd: bool = False


@dataclass(frozen=True)
class ParsedPhrase:
    """Some words of a caption, and the boxes in pixels that they mean."""

    spans: tuple[Span, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class ParsedCaption:
    """One text about an image; an expression without phrases means nothing on it."""

    where: str  # for the report: "line 3"
    text: str
    kind: CaptionKind
    phrases: tuple[ParsedPhrase, ...]


@dataclass(frozen=True)
class ParsedFile:
    """One image file and what is said about it."""

    path: Path
    file_name: str  # posix, relative to the images folder
    split: Split | None = None
    labels: tuple[ParsedLabel, ...] = ()
    is_labelled: bool = False  # True with no labels: somebody looked, and there was nothing
    size_wh: tuple[int, int] | None = None  # of the image the labels were made on
    fractions: bool = False
    captions: tuple[ParsedCaption, ...] = ()


@dataclass(frozen=True)
class ParsedCategory:
    """A category as the file lists it."""

    name: str
    coco_id: int | None = None


@dataclass
class Parsed:
    """All that one reader found."""

    categories: list[ParsedCategory] = field(default_factory=list)
    files: list[ParsedFile] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, what: str, reason: str) -> None:
        """Leave something out, and say so."""
        self.skipped.append(Skipped(what, reason))

    def merge_files(self) -> None:
        """Make one file of several that name the same picture, its labels and captions together."""
        by_path: dict[Path, list[ParsedFile]] = {}
        for file in self.files:
            by_path.setdefault(file.path, []).append(file)
        self.files = [_merged(files) for files in by_path.values()]


def _merged(files: Sequence[ParsedFile]) -> ParsedFile:
    return replace(
        files[0],
        labels=tuple(label for file in files for label in file.labels),
        captions=tuple(caption for file in files for caption in file.captions),
        is_labelled=any(file.is_labelled for file in files),
        size_wh=next((file.size_wh for file in files if file.size_wh is not None), None),
    )


def split_of(name: str) -> Split | None:
    """The split a file or folder name stands for: train2017 -> train, instances_val -> val."""
    words = "".join(character if character.isalpha() else " " for character in name.lower()).split()
    for word in words:
        if word in ("train", "training"):
            return "train"
        if word in ("val", "valid", "validation"):
            return "val"
        if word in ("test", "testing"):
            return "test"
    return None
