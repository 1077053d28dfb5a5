"""Loads an export with the tool it is meant for."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from pycocotools.coco import COCO

from annotations.errors import ExportRefused


@dataclass(frozen=True)
class Counts:
    """How many rows a COCO file has."""

    images: int
    annotations: int
    categories: int


def read_back(path: Path) -> Counts:
    """The counts pycocotools finds.

    Raises:
        ExportRefused: it cannot load the file.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints as it loads
            coco = COCO(str(path))
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise ExportRefused(f"{path.name} can't be read back ({error}). Nothing was exported.") from error
    return Counts(len(coco.getImgIds()), len(coco.getAnnIds()), len(coco.getCatIds()))
