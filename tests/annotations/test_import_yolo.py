"""YOLO goes in: boxes, outlines, and class names as they are written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotations.database import Store
from annotations.errors import ImportRefused
from annotations.importers import import_path
from annotations.importers.doors import detect_format
from annotations.queries import categories, dataset_by_name, images_page, labelled_images
from common.masks import mask_area
from tests.annotations.pictures import paint, real_data, write


def labelled(store: Store, name: str = "pets") -> list[Any]:
    with store.reading() as session:
        return labelled_images(session, dataset_by_name(session, name).id)


def class_names(store: Store) -> list[str]:
    with store.reading() as session:
        return [row.name for row in categories(session, dataset_by_name(session, "pets").id)]


def test_boxes_and_outlines_become_pixels(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "images" / "a.png")
    write(tmp_path / "data.yaml", "names: [cat, dog]\n")
    write(tmp_path / "labels" / "a.txt", "0 0.2 0.375 0.2 0.25\n1 0.1 0.25 0.3 0.25 0.3 0.5 0.1 0.5\n")
    report = import_path(store, "pets", tmp_path)
    image = labelled(store)[0]
    assert (report.annotations, report.skipped) == (2, [])
    assert np.allclose(image.boxes_xyxy, [[10, 20, 30, 40]] * 2)
    assert [None if rle is None else mask_area(rle) for rle in image.rles] == [None, 400]


@pytest.mark.parametrize(
    ("image", "label", "yaml"),
    [
        ("images/train/a.png", "labels/train/a.txt", "train: images/train\n"),
        ("train/images/a.png", "train/labels/a.txt", "train: ../train/images\n"),  # as one popular site exports it
        ("images/train/a.png", "labels/train/a.txt", "path: .\ntrain: [images/train]\n"),
        ("images/train/a.png", "labels/train/a.txt", "path: /somebody/elses/disk\ntrain: images/train\n"),
        ("images/train/a.png", "labels/train/a.txt", ""),
        ("images/a.png", "labels/a.txt", "train: images\n"),
        ("train/a.png", "train/a.txt", "train: train\n"),
    ],
)
def test_the_usual_layouts_are_understood(store: Store, tmp_path: Path, image: str, label: str, yaml: str) -> None:
    paint(tmp_path / "in" / image)
    write(tmp_path / "in" / label, "0 0.5 0.5 0.5 0.5\n")
    write(tmp_path / "in" / "data.yaml", yaml + "names: {0: cat}\n")
    report = import_path(store, "pets", tmp_path / "in")
    assert (report.images, report.annotations, report.skipped) == (1, 1, [])
    assert labelled(store)[0].split == ("train" if "train" in image + yaml else None)


def test_labels_beside_the_pictures_with_a_list_of_classes(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "in" / "a.png")
    write(tmp_path / "in" / "a.txt", "1 0.5 0.5 0.5 0.5\n")
    write(tmp_path / "in" / "classes.txt", "cat\ndog\n")
    assert detect_format(tmp_path / "in") == "yolo"
    import_path(store, "pets", tmp_path / "in")
    assert class_names(store) == ["cat", "dog"]


def test_class_names_stay_text(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "images" / "a.png")
    names = ["yes", "no", "on", "off", "null", "~", "1", "1.0", "2026-01-01", "0x10", "true"]
    write(tmp_path / "data.yaml", "names:\n" + "".join(f"  - {name}\n" for name in names))
    write(tmp_path / "labels" / "a.txt", "")
    import_path(store, "pets", tmp_path)
    assert class_names(store) == names


def test_classes_without_names_are_called_by_number(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "images" / "a.png")
    write(tmp_path / "labels" / "a.txt", "3 0.5 0.5 0.5 0.5\n")
    import_path(store, "pets", tmp_path)
    assert class_names(store) == ["class 3"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"train: images\n", b""])
def test_classes_do_not_lose_their_names_to_a_broken_data_yaml(store: Store, tmp_path: Path, content: bytes) -> None:
    paint(tmp_path / "images" / "a.png")
    write(tmp_path / "labels" / "a.txt", "7 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_bytes(content)
    with pytest.raises(ImportRefused, match=r"^data\.yaml "):
        import_path(store, "pets", tmp_path)


def test_an_empty_text_file_is_a_negative_and_none_is_unlabelled(store: Store, tmp_path: Path) -> None:
    for shade, name in enumerate(["empty", "none"]):
        paint(tmp_path / "images" / f"{name}.png", shade * 50)
    write(tmp_path / "labels" / "empty.txt", "")
    write(tmp_path / "data.yaml", "names: [cat]")
    import_path(store, "pets", tmp_path)
    assert [image.file_name for image in labelled(store)] == ["empty.png"]
    with store.reading() as session:
        assert images_page(session, dataset_by_name(session, "pets").id, filter="new").total == 1


def test_every_bad_line_is_told_and_the_rest_goes_in(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "images" / "a.png")
    lines = [
        "0 0.5 0.5 0.5 0.5",
        "0 0.5 0.5",
        "9 0.5 0.5 0.5 0.5",
        "-1 0.5 0.5 0.5 0.5",
        "0.5 0.5 0.5 0.5 0.5",
        "cat 0.5 0.5 0.5 0.5",
        "0 nan 0.5 0.5 0.5",
        "0 inf 0.5 0.5 0.5",
        "0 0.5 0.5 0.5 0.5 0.9",
        "0 0.5 0.5 0 0.5",
        "0 3.5 3.5 0.5 0.5",
        "0 0.1 0.1 0.2 0.2 0.3 0.3 0.4",
        "",
    ]
    write(tmp_path / "labels" / "a.txt", "\n".join(lines))
    write(tmp_path / "data.yaml", "names: [cat]")
    report = import_path(store, "pets", tmp_path)
    assert (report.annotations, len(report.skipped)) == (1, 11)
    assert all("line " in skipped.what and "\n" not in skipped.reason for skipped in report.skipped)


@pytest.mark.parametrize(
    "text",
    [
        "names: [a",
        "names: 5",
        "nothing: here # names",
        "- names",
        "names: {a: b}",
        "a: &a [x, x]\nnames: [*a, *a]",
        "\n".join(
            ["a0: &a0 [x, x]"]
            + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
            + ["names: *a8"]
        ),
        "names: " + "[" * 5000,
    ],
)
def test_a_bad_yaml_file_is_refused_in_one_line(store: Store, tmp_path: Path, text: str) -> None:
    paint(tmp_path / "images" / "a.png")
    with pytest.raises(ImportRefused) as refusal:
        import_path(store, "pets", write(tmp_path / "data.yaml", text))
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


def test_yaml_tags_run_nothing(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "images" / "a.png")
    canary = tmp_path / "canary"
    write(tmp_path / "data.yaml", f"names: !!python/object/apply:os.system ['touch {canary}']")
    write(tmp_path / "labels" / "a.txt", "")
    import_path(store, "pets", tmp_path)
    assert not canary.exists()


def test_a_file_cannot_point_at_pictures_elsewhere_on_the_disk(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "private" / "a.png")
    for entry in (str(tmp_path / "private"), "../../private"):
        text = f"path: /\ntrain: {entry}\nnames: [cat]"
        with pytest.raises(ImportRefused, match="No images found"):
            import_path(store, "pets", write(tmp_path / "x" / "in" / "data.yaml", text))


def test_only_the_split_asked_for_goes_in(store: Store, tmp_path: Path) -> None:
    for shade, split in enumerate(["train", "val"]):
        paint(tmp_path / "images" / split / "a.png", shade * 50)
        write(tmp_path / "labels" / split / "a.txt", "0 0.5 0.5 0.5 0.5")
    write(tmp_path / "data.yaml", "train: images/train\nval: images/val\nnames: [cat]")
    assert import_path(store, "pets", tmp_path, split="val").images == 1
    assert labelled(store)[0].split == "val"
    with pytest.raises(ImportRefused, match="lists no 'test'"):
        import_path(store, "pets", tmp_path, split="test")


def test_a_text_file_of_another_size_than_the_picture_does_not_matter(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "images" / "a.png", size=(40, 20))
    write(tmp_path / "labels" / "a.txt", "0 0.5 0.5 1 1")
    write(tmp_path / "data.yaml", "names: [cat]")
    import_path(store, "pets", tmp_path)
    assert labelled(store)[0].boxes_xyxy.tolist() == [[0, 0, 40, 20]]


@pytest.mark.parametrize(
    ("task", "boxes", "masks"), [("object_detection", 898, 0), ("instance_segmentation", 712, 712)]
)
def test_coco128_goes_in_with_boxes_and_outlines(store: Store, task: str, boxes: int, masks: int) -> None:
    report = import_path(store, "pets", real_data("coco128") / task)
    assert (report.images, report.annotations) == (128, boxes)
    assert [skipped.what for skipped in report.skipped] == ["config.yaml: train: images/train2017"]
    assert sum(rle is not None for image in labelled(store) for rle in image.rles) == masks
