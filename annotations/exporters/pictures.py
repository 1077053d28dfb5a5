"""Puts the pictures of an export beside its labels."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ImagesMode = Literal["copy", "link", "none"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a picture; one that is missing takes its labels with it."""

    reason: str
    keeps_image: bool


def put_picture(source: Path, target: Path, sha256: str, mode: ImagesMode) -> Problem | None:
    """Copy or link one original, which is only read.

    Args:
        source: the original.
        target: its place in the export.
        sha256: of its bytes when it was imported.
        mode: 'none' does nothing at all.
    """
    if mode == "none":
        return None
    if not source.is_file():
        return Problem("the original is gone; it was left out with its labels", keeps_image=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode == "link":
        target.symlink_to(source)
        return None
    shutil.copyfile(source, target)
    with target.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != sha256:
            return Problem("the original changed since it was imported; look at its labels", keeps_image=True)
    return None
