import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.segmenters.base import Masks
from engine.segmenters.grabcut import GrabCut
from tests.training.worlds.font import needs_font
from training.segmenter.measure import main, mask_iou, measure, photos, scenes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One photo of 40 x 20 with a rectangle from (10, 5) to (30, 15) and a speck."""
    images = tmp_path / "images" / "val2017"
    labels = tmp_path / "instance_segmentation" / "labels" / "val2017"
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    pixels = np.full((20, 40, 3), 30, np.uint8)
    pixels[5:15, 10:30] = (220, 60, 40)
    Image.fromarray(pixels).save(images / "7.jpg", quality=95)
    lines = ("3 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75", "4 0.9 0.9 0.95 0.9 0.95 0.95")
    (labels / "7.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_photos_come_with_the_outlines_people_drew(folder: Path) -> None:
    (photo,) = photos(folder)
    assert len(photo.masks) == 1  # the speck is too small
    truth = np.zeros((20, 40), np.bool_)
    truth[5:15, 10:30] = True
    assert (photo.masks[0] != truth).sum() <= 32  # a pixel more on two sides: OpenCV fills outlines, too
    assert np.abs(photo.boxes_xyxy - [10, 5, 30, 15]).max() <= 1


def test_a_plain_thing_is_found(folder: Path) -> None:
    result = measure(GrabCut(), photos(folder))
    assert result.objects == 1
    assert result.iou > 0.85
    assert result.ms_per_prompt > 0


@needs_font
def test_boxes_of_scenes_are_those_of_what_is_seen() -> None:
    for scene in scenes(3, 4):
        for box, mask in zip(scene.boxes_xyxy, scene.masks, strict=True):
            assert extent(mask) == box.tolist()


@needs_font
def test_the_mean_is_that_of_the_scenes_of_a_seed() -> None:
    once = mask_iou(GrabCut(), 5, 2)
    assert once == mask_iou(GrabCut(), 5, 2)
    assert 0.3 < once < 1


@needs_font
def test_segmenters_stand_side_by_side(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grabcut", "--scenes", "1", "--photos", str(folder), "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"grabcut"}
    assert set(found["grabcut"]) == {"scenes", "photos"}
    assert set(found["grabcut"]["photos"]) == {"iou", "click_iou", "objects", "ms_per_image", "ms_per_prompt"}


def test_an_unknown_segmenter_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.pth"), "--scenes", "0"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_a_folder_without_outlines_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grabcut", "--scenes", "0", "--photos", str(tmp_path), "--threads", "1", "--json"]) == 1
    assert "No outlines at" in capsys.readouterr().err


def extent(mask: Masks) -> list[float]:
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
