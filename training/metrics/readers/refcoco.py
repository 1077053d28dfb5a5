"""Referring expressions as MDETR writes them: an image entry for each expression (finetune_refcoco_testA.json).

The layout's own facts: the expression is the entry's `caption`. In RefCOCO, RefCOCO+ and RefCOCOg it has one box; in
gRefCOCO several, or one of category -1 with `empty` true and no size, which means that there is no target.
"""

from collections.abc import Sequence
from pathlib import Path

from training.errors import LayoutRefused
from training.metrics.readers.document import Row, as_boxes, image_file, read_document
from training.metrics.readers.samples import ReferringSample

_INSTEAD = "Name MDETR's JSON file, such as finetune_refcoco_val.json or finetune_grefcoco_val.json."
_SPLITS = ("testA", "testB", "val", "test", "train")


def read_refcoco(path: Path) -> list[ReferringSample]:
    """All expressions of a file of RefCOCO, RefCOCO+ or RefCOCOg; each means one object.

    Raises:
        LayoutRefused: the file is not of this layout; the line says at which place.
    """
    samples = []
    for row, sample in _samples(path):
        if len(sample.boxes_xyxy) != 1:
            raise LayoutRefused(
                f"{row.where} has {len(sample.boxes_xyxy)} boxes, not one. Read a file of gRefCOCO as grefcoco."
            )
        samples.append(sample)
    return samples


def read_grefcoco(path: Path) -> list[ReferringSample]:
    """All expressions of a file of gRefCOCO; they mean several objects, one or none.

    Raises:
        LayoutRefused: the file is not of this layout; the line says at which place.
    """
    return [sample for _, sample in _samples(path)]


def _samples(path: Path) -> list[tuple[Row, ReferringSample]]:
    document = read_document(path, _INSTEAD)
    split = next((name for name in _SPLITS if path.stem.endswith(f"_{name}")), "")
    return [(row, _sample(row, document.annotations[identity], split)) for identity, row in document.images.items()]


def _sample(row: Row, annotations: Sequence[Row], split: str) -> ReferringSample:
    image = image_file(row)
    boxes = [annotation.box(image) for annotation in annotations if not _is_empty(annotation)]
    dataset = row.text("dataset_name") if "dataset_name" in row.values else "referring"
    return ReferringSample(image, row.text("caption"), as_boxes(boxes), f"{dataset} {split}".strip())


def _is_empty(annotation: Row) -> bool:
    """Whether it only says that the expression has no target."""
    return annotation.values.get("empty") is True or annotation.values.get("category_id") == -1
