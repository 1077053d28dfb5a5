"""Datasets that leave, checked before they take their name."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from annotations.database import Store
from annotations.errors import AnnotationsError
from annotations.exporters.coco import export_coco
from annotations.exporters.report import ExportReport
from app.services.importing import safe_folder
from common.publish import published_file

Images = Literal["copy", "link", "none"]
Masks = Literal["rle", "polygons"]


class FormatNotWritten(AnnotationsError):
    """A format of the contract that this version does not write yet."""


def export_dataset(
    store: Store,
    dataset: str,
    output: Path,
    *,
    format: str = "coco",
    images: Images = "copy",
    masks: Masks = "rle",
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write a dataset to a folder.

    Raises:
        FormatNotWritten: only COCO is written so far.
    """
    if format != "coco":
        raise FormatNotWritten(f"Export to {format!r} is not written yet: use --format coco, which other tools read.")
    return export_coco(store, dataset, output, images=images, masks=masks, progress=progress)


def export_folder(exports: Path, dataset: str) -> Path:
    """Where the page puts the next export of a dataset."""
    return exports / f"{safe_folder(dataset)}-{time.strftime('%Y%m%d-%H%M%S')}"


def zip_export(folder: Path) -> Path:
    """The export as one file beside its folder."""
    target = folder.with_name(f"{folder.name}.zip")  # a name may have dots of its own
    with published_file(target) as aside:
        shutil.make_archive(str(aside.with_suffix("")), "zip", folder)
    return target
