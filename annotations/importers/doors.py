"""The one door for imports: finds out what a path holds, and calls the reader for it."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from annotations.database import Store
from annotations.errors import ImportRefused
from annotations.importers.coco import coco_files, read_coco
from annotations.importers.images import read_images
from annotations.importers.intake import take_in
from annotations.importers.odvg import looks_like_odvg, odvg_files, read_odvg
from annotations.importers.parsed import Parsed
from annotations.importers.report import ImportReport
from annotations.importers.scan import find_files
from annotations.importers.voc import looks_like_voc, read_voc
from annotations.importers.yolo import looks_like_yolo, read_yolo
from annotations.models import Split
from annotations.names import printable
from common.images import EXTENSIONS
from common.images import FORMATS as IMAGE_FORMATS

Format = Literal["auto", "images", "coco", "yolo", "voc", "odvg"]
FORMATS: tuple[Format, ...] = get_args(Format)


def import_path(
    store: Store,
    dataset_name: str,
    path: Path,
    *,
    format: Format = "auto",
    images_dir: Path | None = None,
    split: Split | None = None,
    who: str = "import",
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Index images where they lie and take in the labels that come with them; the files are only read.

    One bad file or label is left out and reported; the rest goes in. Running an import again adds only what
    is not there yet, and never touches annotations that are.

    Args:
        store: where to.
        dataset_name: the dataset, made when missing.
        path: a folder, or a file of labels.
        format: 'auto' looks at the files.
        images_dir: where the pictures are, when they are not where the labels say.
        split: where the labels come with lists of splits, only that one; else the split of every image.
        who: stands as `created_by` on the annotations.
        progress: called with the images done and all of them.

    Raises:
        ImportRefused: nothing usable at the path; one line.
        EditRefused: the dataset's name cannot be kept.
    """
    if not path.exists():
        raise ImportRefused(f"There is nothing at {printable(str(path))!r}. Check the path.")
    if images_dir is not None and not images_dir.is_dir():
        raise ImportRefused(f"There is no folder {printable(str(images_dir))!r} for the images. Check --images.")
    if format not in FORMATS:
        raise ImportRefused(f"Import of {printable(format)!r} is not written yet. Use one of {', '.join(FORMATS)}.")
    parsed = _read(path, detect_format(path) if format == "auto" else format, images_dir, split)
    if not parsed.files and not parsed.skipped:
        raise ImportRefused(f"No images ({', '.join(IMAGE_FORMATS)}) in {printable(str(path))!r}. Name another folder.")
    return take_in(store, dataset_name, parsed, split=split, who=who, progress=progress)


def detect_format(path: Path) -> Format:
    """What a path holds, judged by its files: labels first, as folders with labels hold images too.

    COCO comes before ODVG, as it may have masks; a folder's ODVG file beside it can be imported after it.

    Raises:
        ImportRefused: a file of no known kind.
    """
    suffix = path.suffix.lower()
    if path.is_file():
        by_suffix: dict[str, Format] = {
            ".json": "coco",
            ".jsonl": "odvg",
            ".yaml": "yolo",
            ".yml": "yolo",
            ".xml": "voc",
        }
        if suffix in EXTENSIONS:
            return "images"
        if suffix not in by_suffix:
            raise ImportRefused(f"{printable(path.name)!r} is no image and no file of labels. Name a folder instead.")
        return "odvg" if suffix == ".json" and looks_like_odvg(path) else by_suffix[suffix]
    if coco_files(path):
        return "coco"
    if odvg_files(path):
        return "odvg"
    if any(looks_like_voc(file) for file in islice(find_files(path, frozenset({".xml"})), 5)):
        return "voc"
    return "yolo" if looks_like_yolo(path) else "images"


def _read(path: Path, format: Format, images_dir: Path | None, split: Split | None) -> Parsed:
    try:
        if format == "coco":
            return read_coco(path, images_dir, split)
        if format == "odvg":
            return read_odvg(path, images_dir, split)
        if format == "voc":
            return read_voc(path, images_dir, split)
        if format == "yolo":
            return read_yolo(path, images_dir, split)
        return read_images(images_dir or path)
    except OSError as error:
        raise ImportRefused(f"{printable(str(error.filename))!r} can't be read: {error.strerror}.") from error
