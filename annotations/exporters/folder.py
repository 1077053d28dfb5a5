"""The folder of an export: whole or not there, and never over something that is not an export."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from annotations.errors import ExportRefused
from annotations.names import printable
from common.publish import published_folder, sync

MANIFEST = "manifest.json"
_KIND = "groundwork-export"


@contextmanager
def export_folder(output: Path) -> Iterator[Path]:
    """Fill a folder aside; when the block ends well it stands at `output`, in place of an earlier export if any.

    The manifest is written last, with the digest of every label file.

    Yields:
        The folder to fill.

    Raises:
        ExportRefused: something that is no export of ours stands at `output`; it is left untouched.
    """
    _refuse_foreign(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    aside = output.with_name(f".{output.name}-new-{uuid4().hex[:8]}")
    try:
        with published_folder(aside) as folder:
            yield folder
            _write_manifest(folder)
        _take_place(aside, output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _refuse_foreign(output: Path) -> None:
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise ExportRefused(f"{printable(str(output))!r} is a file or a link. Name a folder that does not exist yet.")
    if not output.exists() or not any(output.iterdir()):
        return
    try:
        kind = json.loads((output / MANIFEST).read_bytes()).get("kind")
    except (OSError, ValueError, AttributeError):
        kind = None
    if kind != _KIND:
        raise ExportRefused(f"{printable(str(output))!r} is not empty and not an earlier export. Name another folder.")


def _take_place(aside: Path, output: Path) -> None:
    """Give the new folder the name; the old one stands aside until then, and comes back should that fail."""
    old = output.with_name(f".{output.name}-old-{uuid4().hex[:8]}")
    if output.exists():
        output.rename(old)
    try:
        aside.rename(output)
    except OSError:
        if old.exists():
            old.rename(output)
        raise
    sync(output.parent)
    shutil.rmtree(old, ignore_errors=True)


def _write_manifest(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    manifest: dict[str, Any] = {"kind": _KIND, "format": "coco", "sha256": {file.name: _digest(file) for file in files}}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
