"""An export is whole, reads back with equal counts, and says the same each time."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from pycocotools.coco import COCO

from annotations.categories import add_category, delete_category
from annotations.database import Store
from annotations.edits import Edit, apply_edit
from annotations.errors import ExportRefused, NotFound
from annotations.exporters import export_coco
from annotations.importers import import_path
from annotations.predictions import NewPrediction, accept_above, save_predictions
from annotations.queries import categories, dataset_by_name, images_page, labelled_images
from common.masks import encode_mask, mask_area
from tests.annotations.pictures import coco, coco_box, coco_image, paint, real_data, write_json


@pytest.fixture
def pets(store: Store, tmp_path: Path) -> Path:
    """The dataset pets: x/a.png with a box and a mask with a hole, y/a.png with a crowd, none.png without objects."""
    ring = np.zeros((80, 100), bool)
    ring[20:40, 10:30] = True
    ring[25:35, 15:25] = False
    crowd = np.zeros((80, 100), bool)
    crowd[:40, :50] = True
    for shade, name in enumerate(["x/a.png", "y/a.png", "none.png"]):
        paint(tmp_path / "in" / name, shade * 40)
    document = coco(
        [
            coco_image(1, "x/a.png") | {"split": "train"},
            coco_image(2, "y/a.png") | {"split": "val"},
            coco_image(3, "none.png"),
        ],
        [
            coco_box(1, 1, 7, 10.1, 20.2, 20.3, 20.4),
            coco_box(2, 1, 9, 10, 20, 20, 20, segmentation=encode_mask(ring)),
            coco_box(3, 2, 9, 0, 0, 50, 40, segmentation=encode_mask(crowd), iscrowd=1),
        ],
        [{"id": 9, "name": "dog"}, {"id": 7, "name": "cat"}, {"id": 3, "name": "<script>${x}"}],
    )
    import_path(store, "pets", write_json(tmp_path / "in" / "labels.json", document))
    return tmp_path / "in"


def read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def rows(store: Store, name: str) -> list[Any]:
    with store.reading() as session:
        dataset = dataset_by_name(session, name)
        ids = {row.id: row.coco_id for row in categories(session, dataset.id)}
        return [
            (
                image.file_name,
                image.split,
                image.boxes_xyxy.tolist(),
                [ids[i] for i in image.category_ids],
                image.rles,
                image.iscrowd.tolist(),
            )
            for image in labelled_images(session, dataset.id)
        ]


def test_an_export_holds_everything_and_negatives_too(store: Store, pets: Path, tmp_path: Path) -> None:
    report = export_coco(store, "pets", tmp_path / "out")
    assert (report.images, report.annotations, report.categories, report.skipped) == (3, 3, 3, [])
    found = read(tmp_path / "out" / "annotations.json")
    assert [(row["id"], row["name"]) for row in found["categories"]] == [(3, "<script>${x}"), (7, "cat"), (9, "dog")]
    assert [(row["id"], row["file_name"]) for row in found["images"]] == [
        (1, "x/a.png"),
        (2, "y/a.png"),
        (3, "none.png"),
    ]
    box, ring, crowd = found["annotations"]
    assert (box["bbox"], box["segmentation"], box["iscrowd"]) == ([10.1, 20.2, 20.3, 20.4], [], 0)
    assert ring["area"] == 300  # 20 x 20 less the hole of 10 x 10
    assert isinstance(crowd["segmentation"], dict) and crowd["iscrowd"] == 1
    assert box["attributes"] == {
        "source": "person",
        "score": None,
        "checkpoint": None,
        "prompt": None,
        "created_by": "import",
    }
    for name in ("x/a.png", "y/a.png", "none.png"):
        assert (tmp_path / "out" / "images" / name).read_bytes() == (pets / name).read_bytes()


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools 2.0.11 under NumPy 2
def test_pycocotools_draws_the_masks_of_an_export(store: Store, pets: Path, tmp_path: Path, capsys: Any) -> None:
    export_coco(store, "pets", tmp_path / "out")
    assert capsys.readouterr().out == ""  # --json prints one document and nothing else
    found = COCO(str(tmp_path / "out" / "annotations.json"))
    assert found.annToMask(found.anns[2]).sum() == 300


def test_each_split_has_a_file_with_the_same_ids(store: Store, pets: Path, tmp_path: Path) -> None:
    report = export_coco(store, "pets", tmp_path / "out", images="none")
    assert [file.name for file in report.files] == [
        "annotations.json",
        "annotations_train.json",
        "annotations_val.json",
    ]
    val = read(tmp_path / "out" / "annotations_val.json")
    assert ([row["id"] for row in val["images"]], [row["id"] for row in val["annotations"]]) == ([2], [3])
    assert not (tmp_path / "out" / "images").exists()


def test_an_export_says_where_an_accepted_box_came_from(store: Store, pets: Path, tmp_path: Path) -> None:
    with store.writing() as session:
        dataset = dataset_by_name(session, "pets")
        image = images_page(session, dataset.id).items[2]
        category = categories(session, dataset.id)[0]
        row = NewPrediction(category.id, (1, 2, 30, 40), 0.75)
        save_predictions(session, image.id, [row], checkpoint="tiny-1", prompt="dog.")
        accept_above(session, dataset.id, 0.5, "ada")
    export_coco(store, "pets", tmp_path / "out", images="none")
    assert read(tmp_path / "out" / "annotations.json")["annotations"][-1]["attributes"] == {
        "source": "model",
        "score": 0.75,
        "checkpoint": "tiny-1",
        "prompt": "dog.",
        "created_by": "ada",
    }


def test_importing_an_export_gives_the_same_dataset(store: Store, pets: Path, tmp_path: Path) -> None:
    export_coco(store, "pets", tmp_path / "out")
    report = import_path(store, "again", tmp_path / "out")
    assert (report.skipped, report.clipped, report.duplicates) == ([], [], [])
    assert rows(store, "again") == rows(store, "pets")


def test_the_same_data_gives_the_same_bytes(store: Store, pets: Path, tmp_path: Path) -> None:
    export_coco(store, "pets", tmp_path / "one")
    export_coco(store, "pets", tmp_path / "two", images="none")
    import_path(store, "again", tmp_path / "one")
    export_coco(store, "again", tmp_path / "three")
    first = (tmp_path / "one" / "annotations.json").read_bytes()
    assert (tmp_path / "two" / "annotations.json").read_bytes() == first
    assert (tmp_path / "three" / "annotations.json").read_bytes() == first.replace(
        b'"description":"pets"', b'"description":"again"'
    )


def test_category_ids_stay_when_a_category_is_deleted_and_another_added(
    store: Store, pets: Path, tmp_path: Path
) -> None:
    with store.writing() as session:
        dataset_id = dataset_by_name(session, "pets").id
        unused = next(row for row in categories(session, dataset_id) if row.coco_id == 3)
        delete_category(session, unused.id)
        add_category(session, dataset_id, "fox")
    export_coco(store, "pets", tmp_path / "out", images="none")
    found = read(tmp_path / "out" / "annotations.json")["categories"]
    assert [(row["id"], row["name"]) for row in found] == [(7, "cat"), (9, "dog"), (10, "fox")]


def test_polygons_can_be_asked_for_and_crowds_stay_run_lengths(store: Store, pets: Path, tmp_path: Path) -> None:
    export_coco(store, "pets", tmp_path / "out", images="none", masks="polygons")
    box, ring, crowd = read(tmp_path / "out" / "annotations.json")["annotations"]
    assert box["segmentation"] == []
    assert isinstance(ring["segmentation"], list) and len(ring["segmentation"][0]) >= 8
    assert isinstance(crowd["segmentation"], dict)


def test_pictures_can_be_linked(store: Store, pets: Path, tmp_path: Path) -> None:
    export_coco(store, "pets", tmp_path / "out", images="link")
    link = tmp_path / "out" / "images" / "x" / "a.png"
    assert link.is_symlink() and link.resolve() == pets / "x" / "a.png"


def test_a_missing_original_is_told_and_left_out_with_its_labels(store: Store, pets: Path, tmp_path: Path) -> None:
    (pets / "y" / "a.png").unlink()
    paint(pets / "none.png", 222)
    report = export_coco(store, "pets", tmp_path / "out")
    assert (report.images, report.annotations) == (2, 2)
    assert [skipped.what for skipped in report.skipped] == ["y/a.png", "none.png"]
    assert "gone" in report.skipped[0].reason and "changed" in report.skipped[1].reason


def test_an_earlier_export_is_replaced_whole(store: Store, pets: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_coco(store, "pets", out)
    (out / "images" / "left over.png").write_text("old")
    export_coco(store, "pets", out, images="none")
    assert sorted(path.name for path in out.iterdir()) == [
        "annotations.json",
        "annotations_train.json",
        "annotations_val.json",
        "manifest.json",
    ]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_folder_that_is_no_export_is_left_untouched(store: Store, pets: Path, tmp_path: Path) -> None:
    for name, text in (("notes.txt", "mine"), ("manifest.json", '{"kind": "something else"}'), ("manifest.json", "[")):
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_text(text)
        with pytest.raises(ExportRefused, match="not empty and not an earlier export"):
            export_coco(store, "pets", tmp_path / "mine")
        assert (tmp_path / "mine" / name).read_text() == text
    with pytest.raises(ExportRefused, match="a file or a link"):
        export_coco(store, "pets", pets / "labels.json")


def test_a_failed_export_leaves_the_earlier_one(store: Store, pets: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_coco(store, "pets", out)
    before = (out / "annotations.json").read_bytes()

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_coco(store, "pets", out, progress=stop)
    assert (out / "annotations.json").read_bytes() == before
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_empty_folder_may_be_filled_and_an_unknown_dataset_is_named(
    store: Store, pets: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    export_coco(store, "pets", tmp_path / "out", images="none")
    with pytest.raises(NotFound, match="no dataset 'cats'"):
        export_coco(store, "cats", tmp_path / "out2")
    with pytest.raises(ExportRefused, match="unknown"):
        export_coco(store, "pets", tmp_path / "out2", images="move")  # type: ignore[arg-type]


def test_edited_boxes_come_out_as_they_were_drawn(store: Store, pets: Path, tmp_path: Path) -> None:
    with store.writing() as session:
        dataset = dataset_by_name(session, "pets")
        image = images_page(session, dataset.id).items[2]
        category = categories(session, dataset.id)[0]
        item = {"id": uuid4(), "category_id": category.id, "xyxy": [1.23456, 2.0, 30.1, 40.7]}
        apply_edit(session, Edit(uuid4(), "create", image.id, "ada", (item,)))
    export_coco(store, "pets", tmp_path / "out")
    import_path(store, "again", tmp_path / "out")
    assert read(tmp_path / "out" / "annotations.json")["annotations"][-1]["bbox"] == [1.235, 2.0, 28.865, 38.7]
    assert rows(store, "again") == rows(store, "pets")


def test_real_outlines_survive_the_round_trip(store: Store, tmp_path: Path) -> None:
    import_path(store, "photos", real_data("coco128") / "instance_segmentation")
    report = export_coco(store, "photos", tmp_path / "out", images="link")
    assert (report.images, report.annotations) == (128, 712)
    import_path(store, "again", tmp_path / "out")
    export_coco(store, "again", tmp_path / "out2", images="none")
    first = read(tmp_path / "out" / "annotations.json")
    second = read(tmp_path / "out2" / "annotations.json")
    assert all(first[key] == second[key] for key in ("images", "annotations", "categories"))
    areas = [mask_area(row["segmentation"]) for row in first["annotations"]]
    assert areas == [row["area"] for row in first["annotations"]]
