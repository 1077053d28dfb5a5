"""Reads YOLO: one text file for each image, a line for each object, all numbers fractions of the image's sides.

Format: https://docs.ultralytics.com/datasets/detect: `class cx cy width height`, or for outlines
`class x1 y1 x2 y2 x3 y3 ...`. A text file beside the image's folder (images -> labels) or beside the image.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from annotations.errors import ImportRefused
from annotations.importers.parsed import Parsed, ParsedCategory, ParsedFile, ParsedLabel, split_of
from annotations.importers.scan import find_images
from annotations.importers.yolo_config import YoloConfig, find_config, read_config
from annotations.models import Split
from annotations.names import printable
from annotations.shapes import Box

MAX_LABEL_BYTES = 50 * 2**20
"""A larger text file does not describe one image."""


@dataclass(frozen=True)
class _ImageFolder:
    """A folder of pictures, its split, and folders whose tree of text files mirrors it."""

    path: Path
    split: Split | None
    labels: tuple[Path, ...]


def looks_like_yolo(path: Path) -> bool:
    """Whether a folder or file has class names in YOLO's way, or a `labels` folder of text files."""
    if find_config(path) is not None:
        return True
    return path.is_dir() and any(next(folder.rglob("*.txt"), None) for folder in path.glob("**/labels"))


def read_yolo(path: Path, images_dir: Path | None = None, split: Split | None = None) -> Parsed:
    """All images of a YOLO data set with their boxes and outlines.

    Args:
        path: data.yaml, or a folder that holds it or classes.txt.
        images_dir: where the pictures are, when it is not where the file says.
        split: only what data.yaml lists under this name, where it lists any.

    Raises:
        ImportRefused: a file that cannot be read, or no image folder.
    """
    config = read_config(path)
    parsed = Parsed()
    folders = _folders(config, images_dir, split, parsed)
    seen: set[Path] = set()
    for folder in folders:
        for image in find_images(folder.path):
            if image not in seen:
                seen.add(image)
                parsed.files.append(_read_image(image, folder, config.names, parsed))
    parsed.categories = [ParsedCategory(name) for name in config.names.values()]
    if not parsed.files:
        raise ImportRefused(f"No images found for {str(path)!r}. Say where they are with --images.")
    return parsed


def _folders(config: YoloConfig, images_dir: Path | None, split: Split | None, parsed: Parsed) -> list[_ImageFolder]:
    if images_dir is not None:
        return [_ImageFolder(images_dir, None, (config.root / "labels", config.root))]
    if not config.splits:
        top = config.root / "images" if (config.root / "images").is_dir() else config.root
        return [_ImageFolder(top, None, (config.root / "labels",))]
    wanted = {name: entries for name, entries in config.splits.items() if split in (None, name)}
    if not wanted:
        raise ImportRefused(f"{config.file_name} lists no {split!r}. It lists: {', '.join(config.splits)}.")
    found = []
    for name, entries in wanted.items():
        for entry in entries:
            folder = _image_folder(config, entry)
            if folder is None:
                parsed.skip(
                    f"{config.file_name}: {name}: {printable(entry)[:80]}",
                    "there is no such folder of images with the file; name it with --images",
                )
            else:
                found.append(_ImageFolder(folder, name, _label_folders(config, entry)))
    return found


def _image_folder(config: YoloConfig, entry: str) -> Path | None:
    """An entry's folder: below `path`, below the file, or where archives leave it after they are unpacked elsewhere."""
    bare = entry
    while bare.startswith("../"):
        bare = bare.removeprefix("../")
    candidates = [config.base / entry, config.root / entry, config.root / bare, config.root.parent / bare]
    return next((folder for folder in candidates if folder.is_dir() and _is_near(config, folder)), None)


def _is_near(config: YoloConfig, folder: Path) -> bool:
    """Whether a folder lies with the data set: a file from elsewhere must not point at pictures all over the disk."""
    return Path(os.path.normpath(folder.absolute())).is_relative_to(config.root.absolute().parent)


def _label_folders(config: YoloConfig, entry: str) -> tuple[Path, ...]:
    """Where the labels of `images/train` may be: `labels/train`, and plain `labels`."""
    parts = Path(entry).parts
    tail = parts[parts.index("images") + 1 :] if "images" in parts else ()
    return (config.root / Path("labels", *tail), config.root / "labels")


def _read_image(image: Path, folder: _ImageFolder, names: Mapping[int, str], parsed: Parsed) -> ParsedFile:
    name = image.relative_to(folder.path).as_posix()
    text_file = _text_file(image, folder)
    split = folder.split or split_of(Path(name).parts[0] if "/" in name else folder.path.name)
    if text_file is None:
        return ParsedFile(image, name, split)
    labels = tuple(_labels(text_file, names, parsed))
    return ParsedFile(image, name, split, labels, is_labelled=True, fractions=True)


def _text_file(image: Path, folder: _ImageFolder) -> Path | None:
    parts = list(image.with_suffix(".txt").parts)
    candidates = []
    for place in range(len(parts) - 2, 0, -1):
        if parts[place] == "images":
            candidates.append(Path(*parts[:place], "labels", *parts[place + 1 :]))
    relative = image.relative_to(folder.path).with_suffix(".txt")
    candidates += [labels / relative for labels in folder.labels]
    candidates.append(image.with_suffix(".txt"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _labels(file: Path, names: Mapping[int, str], parsed: Parsed) -> Iterator[ParsedLabel]:
    what = printable(file.name)
    if file.stat().st_size > MAX_LABEL_BYTES:
        parsed.skip(what, f"the file has more than {MAX_LABEL_BYTES:,} bytes")
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield _label(f"line {number}", line.split(), names)
            except ValueError as error:
                parsed.skip(f"{what}: line {number}", printable(str(error)))


def _label(where: str, words: list[str], names: Mapping[int, str]) -> ParsedLabel:
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise ValueError("it holds something that is not a number") from error
    if not all(abs(value) < 1e6 for value in values):  # also refuses NaN
        raise ValueError("it holds a number that is not finite or far too large")
    if values[0] not in names:
        raise ValueError(f"class {words[0][:20]} has no name in the list of classes")
    name = names[int(values[0])]
    if len(values) == 5:
        cx, cy, width, height = values[1:]
        box: Box = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
        return ParsedLabel(where, name, box)
    if len(values) < 7 or len(values) % 2 == 0:
        raise ValueError(f"it has {len(values)} values: a box has 5, an outline an odd number from 7 on")
    xs, ys = values[1::2], values[2::2]
    return ParsedLabel(where, name, (min(xs), min(ys), max(xs), max(ys)), (tuple(values[1:]),))
