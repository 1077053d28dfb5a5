"""Files and folders that appear under their name whole, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def published_file(path: Path) -> Iterator[Path]:
    """Write a file aside; when the block ends well it is synced to disk and takes its name.

    Until then, and after any error, whatever stood under `path` stands there untouched.

    Yields:
        A path in the same folder with the same suffix, to be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o644)
        sync(aside)
        aside.replace(path)
        sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def published_folder(path: Path) -> Iterator[Path]:
    """Fill a folder aside; when the block ends well all of it is synced and it takes its name.

    Yields:
        An empty folder beside `path`, to be filled.

    Raises:
        FileExistsError: something already stands under `path`, which is left as it is.
    """
    if path.exists():
        raise FileExistsError(f"{str(path)!r} already exists: choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield aside
        for member in sorted(aside.rglob("*"), reverse=True):
            sync(member)
        sync(aside)
        aside.chmod(0o755)
        aside.rename(path)
        sync(path.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def published_files(folder: Path) -> Iterator[Path]:
    """Write files aside; when the block ends well they are synced and take their names in `folder`, one by one.

    Until then, and after any error, what stands in `folder` is as it was; files of other names stay in any case.

    Yields:
        An empty folder beside `folder`, to be filled with files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield aside
        files = sorted(aside.iterdir())
        for file in files:
            file.chmod(0o644)
            sync(file)
        for file in files:
            file.replace(folder / file.name)
        sync(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
