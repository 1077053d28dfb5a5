"""The folders of Object Detection in the Wild: a COCO file beside its pictures for each of up to 35 datasets."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from training.errors import LayoutRefused
from training.metrics.odinw import is_of_odinw13
from training.metrics.readers.coco import read_coco
from training.metrics.readers.samples import DetectionSet

FILE_NAME = "annotations_without_background.json"
_SPLITS = frozenset({"train", "valid", "val", "test", "mini_val", "export"})


def odinw_files(root: Path, split: str = "valid") -> dict[str, Path]:
    """The annotations of each dataset below a folder, by the name of the dataset, such as "EgoHands/generic".

    They stand in a folder named as the split, or carry its name ("export/val_annotations_without_background.json").

    Raises:
        LayoutRefused: there is none.
    """
    found = []
    for path in sorted(root.rglob(f"*{FILE_NAME}")):
        prefix = path.name.removesuffix(FILE_NAME).rstrip("_")
        if (path.parent.name == split and not prefix) or prefix in (split, split.removesuffix("id")):
            found.append(path)
    if not found:
        raise LayoutRefused(f"There is no {FILE_NAME} of split {split!r} below {str(root)!r}. Name ODinW's own folder.")
    return _named(root, found)


def read_odinw(
    source: Path | Sequence[Path], split: str = "valid", *, thirteen: bool = False
) -> Iterator[DetectionSet]:
    """Each dataset, read as it is asked for.

    Args:
        source: the folder that holds the datasets, or the annotation files of those that are wanted.
        split: for a folder.
        thirteen: only those of ODinW13.

    Raises:
        LayoutRefused: no dataset, or a file is not of this layout.
    """
    if isinstance(source, Path):
        files = odinw_files(source, split)
    else:
        files = _named(Path(os.path.commonpath([path.parent for path in source])), source) if source else {}
    if thirteen:
        files = {name: path for name, path in files.items() if is_of_odinw13(name)}
    for name, path in files.items():
        yield replace(read_coco(path), name=name, images_dir=path.parent)


def _named(root: Path, files: Sequence[Path]) -> dict[str, Path]:
    """The files by name: of one that is taken already all folders are kept."""
    named: dict[str, Path] = {}
    for path in files:
        name = _name(root, path)
        named[path.parent.relative_to(root).as_posix() if name in named else name] = path
    return named


def _name(root: Path, path: Path) -> str:
    """The folders between root and file without the split's and without versions ("Raccoon.v2-raw.coco")."""
    parts = [part for part in path.relative_to(root).parts[:-1] if part not in _SPLITS]
    plain = [part for part in parts if not part.endswith(".coco")]
    return "/".join(plain or parts) or path.parent.parent.name
