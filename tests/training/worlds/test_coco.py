"""Scenes written as a COCO dataset."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from common.masks import decode_mask
from tests.training.worlds.font import needs_font
from training.worlds import CONCEPTS, numbered_scene, write_scenes

pytestmark = needs_font


def test_written_scenes_load_in_pycocotools_with_the_scenes_own_boxes(tmp_path: Path) -> None:
    boxes = write_scenes(tmp_path / "set", 5, 11, longest_px=160, masks=True)
    coco = COCO(str(tmp_path / "set" / "annotations.json"))
    assert len(coco.imgs) == 5
    assert len(coco.anns) == boxes
    assert [category["name"] for category in coco.cats.values()] == [concept.name for concept in CONCEPTS]
    scene = numbered_scene(11, 2, longest_px=160)
    rows = coco.imgToAnns[3]
    np.testing.assert_allclose([row["bbox"][:2] for row in rows], scene.boxes_xyxy[:, :2])
    assert [decode_mask(row["segmentation"]).sum() for row in rows] == scene.masks().sum((1, 2)).tolist()
    with Image.open(tmp_path / "set" / "images" / coco.imgs[3]["file_name"]) as image:
        assert image.size == scene.image.shape[1::-1]


def test_scenes_do_not_depend_on_how_many_are_written(tmp_path: Path) -> None:
    write_scenes(tmp_path / "few", 2, 1, longest_px=128)
    write_scenes(tmp_path / "more", 3, 1, longest_px=128)
    for name in ("000000.jpg", "000001.jpg"):
        few, more = (tmp_path / folder / "images" / name for folder in ("few", "more"))
        assert few.read_bytes() == more.read_bytes()


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(FileExistsError, match="already exists"):
        write_scenes(tmp_path, 1, 7, longest_px=96)
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "keep"


def test_no_scenes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Cannot write 0 scenes"):
        write_scenes(tmp_path / "set", 0, 1)
    assert not (tmp_path / "set").exists()
