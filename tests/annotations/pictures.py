"""Small image files and label files for tests."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


def real_data(name: str) -> Path:
    """A folder of real data beside the repository; the test is skipped where it is absent."""
    path = SHARED_DATA / name
    if not path.is_dir():
        pytest.skip(f"no real data at {path}")
    return path


def paint(path: Path, shade: int = 0, size: tuple[int, int] = (100, 80)) -> Path:
    """A PNG (or what the suffix says) of one colour; each shade has other bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 255 - shade, shade)).save(path)
    return path


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def coco(images: Iterable[Any], annotations: Iterable[Any], categories: Iterable[Any]) -> dict[str, Any]:
    return {"images": list(images), "annotations": list(annotations), "categories": list(categories)}


def coco_image(number: int, file_name: str, width: int = 100, height: int = 80) -> dict[str, Any]:
    return {"id": number, "file_name": file_name, "width": width, "height": height}


def coco_box(number: int, image_id: int, category_id: int, *bbox: float, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image_id, "category_id": category_id, "bbox": list(bbox), **more}


def voc_xml(
    filename: str, *objects: tuple[str, object, object, object, object], size: tuple[int, int] = (100, 80)
) -> str:
    rows = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, x1, y1, x2, y2 in objects
    )
    return (
        f"<annotation><filename>{filename}</filename>"
        f"<size><width>{size[0]}</width><height>{size[1]}</height></size>{rows}</annotation>"
    )


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
