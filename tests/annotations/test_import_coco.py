"""COCO files go in; what is wrong in them is left out, one line each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from annotations.database import Store
from annotations.errors import ImportRefused
from annotations.importers import ImportReport, import_path
from annotations.queries import categories, dataset_by_name, images_page, labelled_images
from common.masks import decode_mask
from tests.annotations.pictures import coco, coco_box, coco_image, paint, real_data, write, write_json

CAT = {"id": 7, "name": "cat"}
DOG = {"id": 9, "name": "dog"}


def take(store: Store, tmp_path: Path, document: Any) -> ImportReport:
    paint(tmp_path / "in" / "a.png", 1)
    paint(tmp_path / "in" / "b.png", 2)
    return import_path(store, "pets", write_json(tmp_path / "in" / "labels.json", document))


def labelled(store: Store) -> list[Any]:
    with store.reading() as session:
        return labelled_images(session, dataset_by_name(session, "pets").id)


def reasons(report: ImportReport) -> list[str]:
    return [f"{skipped.what}: {skipped.reason}" for skipped in report.skipped]


def test_boxes_polygons_and_run_lengths_go_in(store: Store, tmp_path: Path) -> None:
    square = np.zeros((80, 100), np.uint8)
    square[20:40, 10:30] = 1
    packed = coco_mask.encode(np.asfortranarray(square))
    runs = [10 * 80 + 20] + [20, 60] * 19 + [20]  # 20 columns of 20 pixels, 60 between them
    runs.append(80 * 100 - sum(runs))
    document = coco(
        [coco_image(5, "a.png")],
        [
            coco_box(1, 5, 7, 10, 20, 20, 20),
            coco_box(2, 5, 7, 10, 20, 20, 20, segmentation=[[10, 20, 30, 20, 30, 40, 10, 40]]),
            coco_box(3, 5, 9, 10, 20, 20, 20, segmentation={"size": [80, 100], "counts": packed["counts"].decode()}),
            coco_box(4, 5, 9, 10, 20, 20, 20, iscrowd=1, segmentation={"size": [80, 100], "counts": runs}),
            {"id": 5, "image_id": 5, "category_id": 9, "segmentation": [[10, 20, 30, 20, 30, 40, 10, 40]]},  # no bbox
        ],
        [CAT, DOG],
    )
    report = take(store, tmp_path, document)
    assert (report.images, report.annotations, report.categories, report.skipped) == (1, 5, 2, [])
    image = labelled(store)[0]
    assert image.boxes_xyxy.tolist() == [[10, 20, 30, 40]] * 5
    assert image.rles[0] is None
    for rle in image.rles[1:]:
        assert np.array_equal(decode_mask(rle), square.astype(bool))
    assert image.iscrowd.tolist() == [False, False, False, True, False]


def test_category_ids_stay_those_of_the_file(store: Store, tmp_path: Path) -> None:
    take(store, tmp_path, coco([coco_image(1, "a.png")], [], [DOG, CAT]))
    with store.reading() as session:
        found = categories(session, dataset_by_name(session, "pets").id)
    assert [(category.name, category.coco_id) for category in found] == [("dog", 9), ("cat", 7)]


def test_images_without_objects_are_kept_as_negatives(store: Store, tmp_path: Path) -> None:
    take(
        store, tmp_path, coco([coco_image(1, "a.png"), coco_image(2, "b.png")], [coco_box(1, 1, 7, 1, 1, 9, 9)], [CAT])
    )
    assert [len(image.boxes_xyxy) for image in labelled(store)] == [1, 0]


def test_every_bad_entry_is_one_line_and_the_rest_goes_in(store: Store, tmp_path: Path) -> None:
    document = coco(
        [
            coco_image(1, "a.png"),
            coco_image(2, "missing.png"),
            coco_image(1, "b.png"),
            coco_image(3, "../../etc/passwd.png"),
            coco_image(4, "/etc/passwd.png"),
            {"id": "x", "file_name": "b.png"},
            "not an object",
        ],
        [
            coco_box(1, 1, 7, 10, 20, 20, 20),  # the one good box
            coco_box(2, 1, 7, 10, 20, 0, 20),
            coco_box(3, 1, 7, 10, 20, -5, 20),
            coco_box(4, 1, 99, 10, 20, 20, 20),
            coco_box(5, 77, 7, 10, 20, 20, 20),
            coco_box(6, 1, 7, 500, 500, 20, 20),
            coco_box(7, 1, 7, 10, 20, 20),
            coco_box(1, 1, 7, 30, 20, 20, 20),
            {"id": 8, "image_id": 1, "category_id": 7},
            coco_box(9, 1, 7, 1e300, 0, 5, 5),
            coco_box(10, 1, 7, None, 0, 5, 5),  # type: ignore[arg-type]
            coco_box(11, 1, 7, "1", "2", "3", "4"),  # type: ignore[arg-type]
            coco_box(12, True, [7], 1, 2, 3, 4),  # type: ignore[arg-type]
            None,
        ],
        [CAT, {"id": 8}, {"id": 7, "name": "again"}, {"id": 10, "name": "x" * 300}, {"id": 11, "name": "a\nb"}],
    )
    report = take(store, tmp_path, document)
    assert (report.images, report.annotations, report.categories) == (1, 1, 1)
    assert reasons(report) == [
        "labels.json: category 8: its name is None, not text",
        "labels.json: category 7: another one before it has the same id",
        "labels.json: image 1: another one before it has the same id",
        "labels.json: image 3 ('../../etc/passwd.png'): its file_name does not stay within the images folder",
        "labels.json: image 4 ('/etc/passwd.png'): its file_name does not stay within the images folder",
        "labels.json: image at place 6: its id is 'x', not a whole number",
        "labels.json: image at place 7: its id is None, not a whole number",
        "labels.json: annotation 4: its category 99 is not in the file",
        "labels.json: annotation 5: its image 77 is not in the file",
        "labels.json: annotation 7: its bbox is [10, 20, 20], not four finite numbers",
        "labels.json: annotation 1: another one before it has the same id",
        "labels.json: annotation 9: its bbox is [1e+300, 0, 5, 5], not four finite numbers",
        "labels.json: annotation 10: its bbox is [None, 0, 5, 5], not four finite numbers",
        "labels.json: annotation 11: its bbox is ['1', '2', '3', '4'], not four finite numbers",
        "labels.json: annotation 12: its category [7] is not in the file",
        "labels.json: annotation at place 14: its id is None, not a whole number",
        "category '"
        + "x" * 39
        + "…': The category name '"
        + "x" * 39
        + "…' has 300 characters; 100 is the most. Shorten it.",
        "category 'a\\nb': The category name 'a\\nb' holds a line break or control character. Take it out.",
        "missing.png: the file is missing",
        "a.png: annotation 2 (cat): the box [10, 20, 10, 40] has no area",
        "a.png: annotation 3 (cat): the box [10, 20, 5, 40] has no area",
        "a.png: annotation 6 (cat): the box [500, 500, 520, 520] covers less than 1 px a side of the 100 x 80 px image",
        "a.png: annotation 8 (cat): it has neither a box nor a mask",
    ]
    assert all("\n" not in line for line in reasons(report))


def test_boxes_beyond_the_edge_are_cut_and_told(store: Store, tmp_path: Path) -> None:
    boxes = [coco_box(1, 1, 7, -10, 10, 30, 30), coco_box(2, 1, 7, 80, 10, 20.4, 30)]
    report = take(store, tmp_path, coco([coco_image(1, "a.png")], boxes, [CAT]))
    assert labelled(store)[0].boxes_xyxy.tolist() == [[0, 10, 20, 40], [80, 10, 100, 40]]
    assert [clipped.what for clipped in report.clipped] == ["a.png: annotation 1 (cat)"]  # 0.4 px is rounding
    assert report.skipped == []


@pytest.mark.parametrize(
    "shape",
    [
        {"size": [80, 100], "counts": "not rle at all"},
        {"size": [80, 100], "counts": [1, 2, 3]},
        {"size": [80, 100], "counts": [-8000, 16000]},
        {"size": [80, 100], "counts": ["a"]},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": "ab", "counts": "00"},
        {"counts": "00"},
        {"size": [4, 5], "counts": [20]},
        {"size": [80, 100], "counts": [8000]},
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
    ],
)
def test_a_broken_mask_is_left_out_and_the_box_kept(store: Store, tmp_path: Path, shape: Any) -> None:
    box = coco_box(1, 1, 7, 10, 20, 20, 20, segmentation=shape)
    report = take(store, tmp_path, coco([coco_image(1, "a.png")], [box], [CAT]))
    assert report.annotations == 1
    assert labelled(store)[0].rles == [None]
    assert ["mask left out" in line for line in reasons(report)] == [True]


def test_a_polygon_with_far_off_points_is_cut_at_the_edge(store: Store, tmp_path: Path) -> None:
    box = coco_box(1, 1, 7, 0, 0, 100, 80, segmentation=[[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9]])
    assert take(store, tmp_path, coco([coco_image(1, "a.png")], [box], [CAT])).annotations == 1
    assert decode_mask(labelled(store)[0].rles[0]).all()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"images": [], "annotations": []}',
        '{"images": {}, "annotations": [], "categories": []}',
        '{"images": [], "annotations": [{"id": 1, "bbox": [NaN, 1, 2, 3]}], "categories": []}',
        '{"images": [], "annotations": [{"id": 1, "bbox": [Infinity, 1, 2, 3]}], "categories": []}',
        '{"images": [], "annotations": [{"id": 1, "segments_info": []}], "categories": []}',
        "[" * 200_000,
        '{"images": [{"id": ' + "9" * 5000 + "}]}",
    ],
)
def test_a_file_that_is_not_coco_is_refused_in_one_line_and_nothing_goes_in(
    store: Store, tmp_path: Path, text: str
) -> None:
    with pytest.raises(ImportRefused) as refusal:
        import_path(store, "pets", write(tmp_path / "labels.json", text))
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300
    with store.reading() as session:
        assert images_page(session, 1).total == 0


def test_bytes_that_are_no_text_are_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(ImportRefused, match="not valid JSON"):
        import_path(store, "pets", tmp_path / "labels.json")


def test_captions_and_panoptic_files_are_refused_by_name(store: Store) -> None:
    with pytest.raises(ImportRefused, match="panoptic"):
        import_path(store, "x", real_data("coco128") / "panoptic_segmentation/annotations/panoptic_val2017.json")
    with pytest.raises(ImportRefused, match="categories"):
        import_path(store, "x", real_data("coco_captions") / "annotations/captions_val2017.json")


@pytest.mark.parametrize("layout", ["in/a.png", "in/images/a.png", "images/a.png", "a.png", "in/val2017/a.png"])
def test_the_images_are_found_around_the_file(store: Store, tmp_path: Path, layout: str) -> None:
    paint(tmp_path / layout)
    labels = write_json(tmp_path / "in" / "instances_val2017.json", coco([coco_image(1, "a.png")], [], [CAT]))
    assert import_path(store, "pets", labels).images == 1


def test_the_images_folder_can_be_given(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "far" / "away" / "a.png")
    labels = write_json(tmp_path / "in" / "labels.json", coco([coco_image(1, "a.png")], [], [CAT]))
    assert import_path(store, "pets", labels, images_dir=tmp_path / "far" / "away").images == 1


def test_one_name_in_two_folders_stays_apart(store: Store, tmp_path: Path) -> None:
    for shade, folder in enumerate(["x", "y"]):
        paint(tmp_path / "in" / folder / "a.png", shade * 50)
    document = coco(
        [coco_image(1, "x/a.png"), coco_image(2, "y/a.png")],
        [coco_box(1, 1, 7, 0, 0, 10, 10), coco_box(2, 2, 7, 0, 0, 20, 20)],
        [CAT],
    )
    import_path(store, "pets", write_json(tmp_path / "in" / "labels.json", document))
    found = {image.file_name: image.boxes_xyxy[0].tolist() for image in labelled(store)}
    assert found == {"x/a.png": [0, 0, 10, 10], "y/a.png": [0, 0, 20, 20]}


def test_a_picture_listed_twice_gets_the_labels_of_both(store: Store, tmp_path: Path) -> None:
    rows = [coco_box(1, 1, 7, 0, 0, 10, 10), coco_box(2, 2, 7, 0, 0, 20, 20)]
    report = take(store, tmp_path, coco([coco_image(1, "a.png"), coco_image(2, "a.png")], rows, [CAT]))
    assert (report.images, report.annotations) == (1, 2)


def test_labels_made_on_a_picture_lying_on_its_side_are_left_out(store: Store, tmp_path: Path) -> None:
    report = take(store, tmp_path, coco([coco_image(1, "a.png", 80, 100)], [coco_box(1, 1, 7, 0, 0, 9, 9)], [CAT]))
    assert (report.images, report.annotations) == (1, 0)
    assert "lying on its side" in reasons(report)[0]


def test_files_of_several_splits_are_told_apart(store: Store, tmp_path: Path) -> None:
    for shade, split in enumerate(["train", "val"]):
        paint(tmp_path / "in" / "images" / f"{split}.png", shade * 50)
        document = coco([coco_image(1, f"{split}.png")], [coco_box(1, 1, 7, 0, 0, 9, 9)], [CAT])
        write_json(tmp_path / "in" / "annotations" / f"instances_{split}2017.json", document)
        write_json(tmp_path / "in" / "annotations" / f"person_keypoints_{split}2017.json", document)
    assert import_path(store, "pets", tmp_path / "in").annotations == 2
    assert {(image.file_name, image.split) for image in labelled(store)} == {("train.png", "train"), ("val.png", "val")}
    assert import_path(store, "only val", tmp_path / "in", split="val").images == 1


def test_labels_for_pictures_that_are_there_already_are_added_once(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "in" / "a.png", 1)
    import_path(store, "pets", tmp_path / "in", format="images")
    document = coco([coco_image(1, "a.png")], [coco_box(1, 1, 7, 0, 0, 9, 9)], [CAT])
    first = take(store, tmp_path, document)
    again = take(store, tmp_path, document)
    assert (first.images, first.annotations, first.known) == (0, 1, 1)
    assert (again.images, again.annotations, again.known) == (0, 0, 1)


@pytest.mark.parametrize("name", ["${x}", "<script>alert(1)</script>", "yes", "a/b", "😀"])
def test_category_names_of_a_file_are_kept_verbatim(store: Store, tmp_path: Path, name: str) -> None:
    box = coco_box(1, 1, 1, 0, 0, 9, 9)
    report = take(store, tmp_path, coco([coco_image(1, "a.png")], [box], [{"id": 1, "name": name}]))
    with store.reading() as session:
        assert [row.name for row in categories(session, dataset_by_name(session, "pets").id)] == [name]
    assert (report.annotations, report.skipped) == (1, [])


def test_a_failure_in_the_middle_keeps_the_batches_before_it(store: Store, tmp_path: Path) -> None:
    for n in range(3):
        paint(tmp_path / "in" / f"{n}.png", n * 50)

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_path(store, "pets", tmp_path / "in", progress=stop)
    assert import_path(store, "pets", tmp_path / "in").known == 3
    assert store.check() == []


def test_a_json_number_beyond_floats_is_left_out(store: Store, tmp_path: Path) -> None:
    text = json.dumps(coco([coco_image(1, "a.png")], [coco_box(1, 1, 7, 0, 0, 9, 9)], [CAT])).replace(
        "9, 9", "1e400, 9"
    )
    paint(tmp_path / "in" / "a.png")
    report = import_path(store, "pets", write(tmp_path / "in" / "labels.json", text))
    assert (report.images, report.annotations, len(report.skipped)) == (1, 0, 1)
