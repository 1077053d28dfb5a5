"""Writes COCO: boxes and masks in one file that pycocotools loads back.

Format: https://cocodataset.org/#format-data. Images keep their sub-folders; images without objects stay in;
category ids are the dataset's own and never change; the same data gives the same bytes.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotations.database import Store
from annotations.errors import ExportRefused
from annotations.exporters.folder import export_folder
from annotations.exporters.pictures import ImagesMode, put_picture
from annotations.exporters.readback import Counts, read_back
from annotations.exporters.report import ExportReport
from annotations.models import Annotation, Category, Image, Split
from annotations.names import printable
from annotations.queries import annotation_order, dataset_by_name
from annotations.shapes import COORDINATE_DECIMALS
from annotations.skipped import Skipped
from common.masks import mask_area, polygons_from_mask

MasksMode = Literal["rle", "polygons"]
MAIN_FILE = "annotations.json"
_ROWS_AT_A_TIME = 5_000
_ANNOTATION_COLUMNS = (
    Annotation.image_id,
    Annotation.category_id,
    Annotation.x1,
    Annotation.y1,
    Annotation.x2,
    Annotation.y2,
    Annotation.rle,
    Annotation.iscrowd,
    Annotation.source,
    Annotation.score,
    Annotation.checkpoint,
    Annotation.prompt,
    Annotation.created_by,
)


def export_coco(
    store: Store,
    dataset_name: str,
    output: Path,
    *,
    images: ImagesMode = "copy",
    masks: MasksMode = "rle",
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write a dataset as one COCO file, and one more for each split; all of it or nothing.

    Args:
        store: where from.
        dataset_name: which dataset.
        output: a folder that is missing, empty, or an earlier export (which is replaced).
        images: 'copy' and 'link' put the pictures into `images/`; 'none' leaves them where they are.
        masks: 'rle' keeps masks exactly; 'polygons' draws outlines, which loses holes (crowds stay RLE).
        progress: called with the images done and all of them.

    Raises:
        NotFound: no such dataset.
        ExportRefused: the folder holds something else, or the file could not be read back as it was meant.
    """
    if images not in get_args(ImagesMode) or masks not in get_args(MasksMode):
        raise ExportRefused(
            f"Images {images!r} or masks {masks!r} is unknown. Use copy, link or none; rle or polygons."
        )
    output = output.absolute()
    with store.reading() as session:
        dataset = dataset_by_name(session, dataset_name)
        with export_folder(output) as folder:
            writer = _Writer(session, dataset.id, dataset.name, masks)
            rows = writer.images()
            skipped: list[Skipped] = []
            kept = []
            for done, row in enumerate(rows, start=1):
                problem = put_picture(Path(row.path), folder / "images" / row.file_name, row.sha256, images)
                if problem is None or problem.keeps_image:
                    kept.append(row)
                if problem is not None:
                    skipped.append(Skipped(printable(row.file_name), problem.reason))
                if progress is not None:
                    progress(done, len(rows))
            parts = _parts(kept)
            counts: dict[str, Counts] = {}
            for name, members in parts.items():
                counts[name] = _compare(folder / name, writer.write(folder / name, members))
    total = counts[MAIN_FILE]
    return ExportReport(total.images, total.annotations, total.categories, skipped, [output / name for name in parts])


def _parts(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """The images of each file: all of them, and those of each split that there is."""
    parts = {MAIN_FILE: list(rows)}
    for split in get_args(Split):
        members = [row for row in rows if row.split == split]
        if members:
            parts[f"annotations_{split}.json"] = members
    return parts


def _compare(path: Path, written: Counts) -> Counts:
    found = read_back(path)
    if found != written:
        raise ExportRefused(f"{path.name} reads back as {found}, but {written} was written. Nothing was exported.")
    return found


class _Writer:
    """Writes the rows of one dataset, a few thousand in memory at a time."""

    def __init__(self, session: Session, dataset_id: int, name: str, masks: MasksMode) -> None:
        self._session = session
        self._dataset_id = dataset_id
        self._name = name
        self._masks = masks
        query = select(Category).where(Category.dataset_id == dataset_id).order_by(Category.coco_id)
        self._categories = list(session.scalars(query))
        self._coco_ids = {category.id: category.coco_id for category in self._categories}

    def images(self) -> Sequence[Any]:
        """Every image, in import order."""
        columns = (Image.id, Image.path, Image.file_name, Image.sha256, Image.width, Image.height, Image.split)
        query = select(*columns, Image.position).where(Image.dataset_id == self._dataset_id).order_by(Image.position)
        return self._session.execute(query).all()

    def write(self, path: Path, rows: Sequence[Any]) -> Counts:
        """One COCO file with these images; what it holds."""
        image_ids = {row.id: row.position + 1 for row in rows}
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write('{\n"info": ' + _json({"description": self._name, "version": "1.0"}) + ',\n"licenses": [],\n')
            categories = [_category(category) for category in self._categories]
            file.write('"categories": ')
            counts = [_write_list(file.write, categories)]
            file.write(',\n"images": ')
            counts.append(_write_list(file.write, (_image(row) for row in rows)))
            file.write(',\n"annotations": ')
            counts.append(_write_list(file.write, self._annotations(image_ids)))
            file.write("\n}\n")
        return Counts(images=counts[1], annotations=counts[2], categories=counts[0])

    def _annotations(self, image_ids: dict[int, int]) -> Iterator[dict[str, Any]]:
        query = (
            select(*_ANNOTATION_COLUMNS)  # plain columns: whole objects would take twice as long
            .join(Image, Image.id == Annotation.image_id)
            .where(Image.dataset_id == self._dataset_id)
            .order_by(Image.position, *annotation_order())
            .execution_options(yield_per=_ROWS_AT_A_TIME)
        )
        # The main file numbers all annotations; a split's file keeps those numbers.
        for number, row in enumerate(self._session.execute(query), start=1):
            if row.image_id in image_ids:
                yield self._annotation(number, image_ids[row.image_id], row)

    def _annotation(self, number: int, image_id: int, row: Any) -> dict[str, Any]:
        width = round(row.x2 - row.x1, COORDINATE_DECIMALS)
        height = round(row.y2 - row.y1, COORDINATE_DECIMALS)
        return {
            "id": number,
            "image_id": image_id,
            "category_id": self._coco_ids[row.category_id],
            "bbox": [row.x1, row.y1, width, height],
            "area": mask_area(row.rle) if row.rle else round(width * height, COORDINATE_DECIMALS),
            "iscrowd": int(row.iscrowd),
            "segmentation": self._segmentation(row),
            "attributes": {
                "source": row.source,
                "score": row.score,
                "checkpoint": row.checkpoint,
                "prompt": row.prompt,
                "created_by": row.created_by,
            },
        }

    def _segmentation(self, row: Any) -> Any:
        """Run lengths, or outlines when asked for; an empty list says that there is a box only."""
        if row.rle is None:
            return []
        if self._masks == "rle" or row.iscrowd:
            return row.rle
        return polygons_from_mask(row.rle) or row.rle  # a speck of a mask has no outline


def _category(category: Category) -> dict[str, Any]:
    return {"id": category.coco_id, "name": category.name, "supercategory": ""}


def _image(row: Any) -> dict[str, Any]:
    value = {"id": row.position + 1, "file_name": row.file_name, "width": row.width, "height": row.height}
    return value if row.split is None else value | {"split": row.split}


def _write_list(write: Callable[[str], Any], rows: Any) -> int:
    count = 0
    write("[")
    for row in rows:
        write(("" if count == 0 else ",") + "\n" + _json(row))
        count += 1
    write("\n]" if count else "]")
    return count


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
