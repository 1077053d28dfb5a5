"""Rendered scenes as a COCO dataset in a folder."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from common.masks import encode_mask
from common.publish import published_folder
from training.worlds.concepts import CONCEPTS
from training.worlds.scenes import Scene, SceneRules, numbered_scene


def write_scenes(
    folder: Path, count: int, seed: int, *, longest_px: int = 480, masks: bool = False, rules: SceneRules | None = None
) -> int:
    """Render `count` scenes into a new `folder`: images/000000.jpg and on, and annotations.json.

    The same arguments give the same scenes. Scene i does not depend on `count`.

    Args:
        longest_px: longer side of the largest picture; the smallest is half of it.
        masks: also write each thing's visible pixels as compressed run lengths.

    Returns:
        The number of boxes.

    Raises:
        FontMissing: the emoji font is not installed.
        FileExistsError: `folder` exists.
        ValueError: `count` is below 1 or `longest_px` below 64.
    """
    if count < 1 or longest_px < 64:
        raise ValueError(f"Cannot write {count} scenes of {longest_px} px. Ask for at least 1 scene of 64 px.")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with published_folder(folder) as temporary:
        (temporary / "images").mkdir()
        for index in range(count):
            scene = numbered_scene(seed, index, longest_px=longest_px, rules=rules)
            name = f"{index:06d}.jpg"
            Image.fromarray(scene.image).save(temporary / "images" / name, quality=92)
            height, width = scene.image.shape[:2]
            images.append({"id": index + 1, "file_name": name, "width": width, "height": height})
            annotations += _rows(scene, index + 1, len(annotations), masks)
        categories = [{"id": i + 1, "name": concept.name} for i, concept in enumerate(CONCEPTS)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (temporary / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return len(annotations)


def _rows(scene: Scene, image_id: int, before: int, masks: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    shapes = scene.masks() if masks else None
    for index, (box, label) in enumerate(zip(scene.boxes_xyxy.tolist(), scene.labels.tolist(), strict=True)):
        x1, y1, x2, y2 = box
        row: dict[str, Any] = {
            "id": before + index + 1,
            "image_id": image_id,
            "category_id": label + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        if shapes is not None:
            row |= {"segmentation": encode_mask(shapes[index]), "area": int(shapes[index].sum())}
        rows.append(row)
    return rows
