"""Captioned scenes as files: ODVG that comes back as what was drawn."""

from pathlib import Path

import pytest
from pycocotools.coco import COCO

from annotations.captions import captioned_images
from annotations.database import Store
from annotations.importers import import_path
from annotations.queries import categories, labelled_images
from tests.training.worlds.font import needs_font
from training.worlds import THINGS, captioned_scene, write_captioned_scenes
from training.worlds.nouns import category_of

pytestmark = needs_font


def test_written_texts_and_boxes_come_back_through_the_import(tmp_path: Path) -> None:
    written = write_captioned_scenes(tmp_path / "set", 4, 11, longest_px=128)
    assert len(COCO(str(tmp_path / "set" / "annotations.json")).anns) == written.boxes
    with Store.open(tmp_path / "store.db") as store:
        report = import_path(store, "scenes", tmp_path / "set" / "annotations.odvg.jsonl")
        assert (report.images, report.annotations, report.skipped) == (4, written.boxes, [])
        assert report.captions == written.captions + written.expressions
        with store.reading() as session:
            names = {row.id: row.name for row in categories(session, 1)}
            captioned = captioned_images(session, 1)
            labelled = labelled_images(session, 1)
    for index, (image, boxes) in enumerate(zip(captioned, labelled, strict=True)):
        drawn = captioned_scene(11, index, longest_px=128)
        assert [text.content for text in image.captions] == [text.content for text in drawn.captions]
        assert boxes.boxes_xyxy.tolist() == drawn.scene.boxes_xyxy.tolist()
        told = [names[int(category)] for category in boxes.category_ids]
        assert told == [THINGS[category_of(label)].name for label in drawn.scene.labels.tolist()]


def test_a_coco_import_of_the_folder_has_the_same_boxes_and_takes_the_texts_later(tmp_path: Path) -> None:
    written = write_captioned_scenes(tmp_path / "set", 2, 3, longest_px=128)
    with Store.open(tmp_path / "store.db") as store:
        first = import_path(store, "scenes", tmp_path / "set")
        then = import_path(store, "scenes", tmp_path / "set", format="odvg")
    assert (first.images, first.annotations, first.captions) == (2, written.boxes, 0)
    assert (then.known, then.annotations, then.categories) == (2, 0, 0)
    assert then.captions == written.captions + written.expressions


def test_captioned_scenes_do_not_depend_on_how_many_are_written(tmp_path: Path) -> None:
    write_captioned_scenes(tmp_path / "few", 1, 1, longest_px=96)
    write_captioned_scenes(tmp_path / "more", 2, 1, longest_px=96)
    few, more = (
        (tmp_path / folder / "annotations.odvg.jsonl").read_text(encoding="utf-8") for folder in ("few", "more")
    )
    assert more.startswith(few)
    name = "images/000000.jpg"
    assert (tmp_path / "few" / name).read_bytes() == (tmp_path / "more" / name).read_bytes()


def test_no_captioned_scenes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Cannot write 0 scenes"):
        write_captioned_scenes(tmp_path / "set", 0, 1)
    assert not (tmp_path / "set").exists()
