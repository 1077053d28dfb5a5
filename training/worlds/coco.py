"""Rendered scenes as a COCO dataset in a folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from common.masks import encode_mask
from common.publish import published_folder
from training.worlds.concepts import CONCEPTS, THINGS
from training.worlds.nouns import category_of
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
    check_amount(count, longest_px)
    with published_folder(folder) as temporary:
        writer = CocoWriter(temporary, range(len(CONCEPTS)))
        for index in range(count):
            writer.add(numbered_scene(seed, index, longest_px=longest_px, rules=rules), masks=masks)
        return writer.finish()


def check_amount(count: int, longest_px: int) -> None:
    """Refuse with ValueError what can't be written."""
    if count < 1 or longest_px < 64:
        raise ValueError(f"Cannot write {count} scenes of {longest_px} px. Ask for at least 1 scene of 64 px.")


class CocoWriter:
    """Scenes on their way into a folder: pictures at once, annotations.json at the end."""

    def __init__(self, folder: Path, things: Sequence[int]) -> None:
        """A new `images/` within `folder`; `things` become the categories, see `category_of`."""
        self._folder = folder
        self._category_ids = {thing: place + 1 for place, thing in enumerate(things)}
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        (folder / "images").mkdir()

    def add(self, scene: Scene, *, masks: bool = False) -> str:
        """Write a scene's picture and remember its boxes; returns the picture's name within images/."""
        image_id = len(self._images) + 1
        name = f"{image_id - 1:06d}.jpg"
        Image.fromarray(scene.image).save(self._folder / "images" / name, quality=92)
        height, width = scene.image.shape[:2]
        self._images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        self._annotations += self._rows(scene, image_id, masks)
        return name

    def finish(self) -> int:
        """Write annotations.json; returns the number of boxes."""
        categories = [{"id": number, "name": THINGS[thing].name} for thing, number in self._category_ids.items()]
        content = {"images": self._images, "annotations": self._annotations, "categories": categories}
        (self._folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
        return len(self._annotations)

    def _rows(self, scene: Scene, image_id: int, masks: bool) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        shapes = scene.masks() if masks else None
        for index, (box, label) in enumerate(zip(scene.boxes_xyxy.tolist(), scene.labels.tolist(), strict=True)):
            x1, y1, x2, y2 = box
            row: dict[str, Any] = {
                "id": len(self._annotations) + index + 1,
                "image_id": image_id,
                "category_id": self._category_ids[category_of(label)],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            if shapes is not None:
                row |= {"segmentation": encode_mask(shapes[index]), "area": int(shapes[index].sum())}
            rows.append(row)
        return rows
