"""Reads a folder of pictures without labels, or a single picture."""

from pathlib import Path

from annotations.importers.parsed import Parsed, ParsedFile
from annotations.importers.scan import find_images


def read_images(path: Path) -> Parsed:
    """Every image below a folder, indexed where it lies."""
    if path.is_file():
        return Parsed(files=[ParsedFile(path, path.name)])
    return Parsed(files=[ParsedFile(found, found.relative_to(path).as_posix()) for found in find_images(path)])
