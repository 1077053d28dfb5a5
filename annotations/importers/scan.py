"""Finds image files in a folder, and reads their size and digest."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from annotations.importers.parsed import split_of
from annotations.names import is_inside, printable
from annotations.skipped import Skipped
from common.images import EXTENSIONS, ImageInfo, ImageRefused, probe_image

_WORKERS = min(4, os.cpu_count() or 1)  # decoding and hashing leave Python's lock alone


def find_files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Every regular file below `folder` with one of the suffixes (lower-case), by path; hidden ones are passed over.

    Links to folders are followed, each folder once, so that a ring of links ends.
    """
    found: list[Path] = []
    visited: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(where, name)
            if not name.startswith(".") and path.suffix.lower() in suffixes and path.is_file():
                found.append(path)
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def find_images(folder: Path) -> list[Path]:
    """Every image file below `folder`, judged by its extension."""
    return find_files(folder, EXTENSIONS)


def images_near(file: Path, names: Sequence[object]) -> Path:
    """The folder around a file of labels in which the first pictures it names are found.

    Args:
        file: tried are its own folder, the one above, `images` in both, and what its name says (train, val2017).
        names: as the file has them; only those that stay within a folder are looked for.
    """
    near = [file.parent / "images", file.parent, file.parent.parent / "images", file.parent.parent]
    words = [word for word in file.stem.replace("instances_", "").split("_") if split_of(word)]
    near += [folder / word for folder in list(near) for word in words]
    for folder in near:
        if any(is_inside(name) and (folder / name).is_file() for name in names):
            return folder
    return near[0] if near[0].is_dir() else file.parent


def is_utf8(path: Path) -> bool:
    """Whether the path can be written down as text."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def probe_all(paths: Sequence[Path]) -> Iterator[ImageInfo | Skipped]:
    """Size and digest of each file, in order; or why it cannot be used."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        yield from pool.map(_probe, paths)


def _probe(path: Path) -> ImageInfo | Skipped:
    what = printable(path.name)
    if not is_utf8(path):
        return Skipped(what, "its path is not valid UTF-8: rename it")
    if not path.is_file():
        return Skipped(what, "the file is missing")
    try:
        return probe_image(path)
    except ImageRefused as error:
        return Skipped(what, printable(str(error)))
