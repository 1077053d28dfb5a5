"""Pascal VOC goes in with its lists of splits; hostile XML does not get far."""

from pathlib import Path
from typing import Any

import pytest

from annotations.database import Store
from annotations.errors import ImportRefused
from annotations.importers import import_path
from annotations.queries import categories, dataset_by_name, images_page, labelled_images
from tests.annotations.pictures import paint, real_data, voc_xml, write


def labelled(store: Store, name: str = "pets") -> list[Any]:
    with store.reading() as session:
        return labelled_images(session, dataset_by_name(session, name).id)


def voc_folder(top: Path, count: int = 3) -> Path:
    for n in range(count):
        paint(top / "JPEGImages" / f"{n}.png", n * 30)
        write(top / "Annotations" / f"{n}.xml", voc_xml(f"{n}.png", ("cat", 11, 21, 30, 40)))
    return top


def test_pixel_numbers_from_1_become_spans_from_0(store: Store, tmp_path: Path) -> None:
    # Pixels 11 to 30, both included and counted from 1, are the 20 px wide span from 10 to 30.
    import_path(store, "pets", voc_folder(tmp_path, 1))
    assert labelled(store)[0].boxes_xyxy.tolist() == [[10, 20, 30, 40]]


def test_a_box_over_the_whole_image_stays_so_whatever_the_first_number(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    write(tmp_path / "a.xml", voc_xml("a.png", ("cat", 1, 1, 100, 80), ("cat", 0, 0, 100, 80)))
    report = import_path(store, "pets", tmp_path)
    assert labelled(store)[0].boxes_xyxy.tolist() == [[0, 0, 100, 80]] * 2
    assert (report.skipped, report.clipped) == ([], [])


def test_lists_of_splits_are_kept(store: Store, tmp_path: Path) -> None:
    top = voc_folder(tmp_path / "voc")
    write(top / "ImageSets" / "Main" / "train.txt", "0\n")
    write(top / "ImageSets" / "Main" / "val.txt", "1  1\n")
    import_path(store, "all", top)
    assert [image.split for image in labelled(store, "all")] == ["train", "val", None]
    import_path(store, "one", top, split="train")
    assert [image.file_name for image in labelled(store, "one")] == ["0.png"]
    with pytest.raises(ImportRefused, match=r"no test\.txt in .* There are: train, val"):
        import_path(store, "none", top, split="test")


def test_pictures_without_labels_are_there_to_be_labelled(store: Store, tmp_path: Path) -> None:
    top = voc_folder(tmp_path, 1)
    paint(top / "JPEGImages" / "new.png", 200)
    paint(top / "JPEGImages" / "nothing.png", 210)
    write(top / "Annotations" / "nothing.xml", voc_xml("nothing.png"))
    import_path(store, "pets", top)
    assert [image.file_name for image in labelled(store)] == ["0.png", "nothing.png"]
    with store.reading() as session:
        assert images_page(session, dataset_by_name(session, "pets").id, filter="new").items[0].file_name == "new.png"


def test_pictures_beside_their_labels_are_taken_and_not_those_of_a_folder_next_door(
    store: Store, tmp_path: Path
) -> None:
    paint(tmp_path / "images" / "other.png", 200)
    paint(tmp_path / "pets" / "a.png")
    write(tmp_path / "pets" / "a.xml", voc_xml("a.png", ("cat", 1, 1, 50, 50)))
    report = import_path(store, "pets", tmp_path / "pets")
    assert (report.images, report.annotations, report.skipped) == (1, 1, [])


def test_one_name_in_two_folders_stays_apart(store: Store, tmp_path: Path) -> None:
    for n, folder in enumerate(["x", "y"]):
        paint(tmp_path / "JPEGImages" / folder / "a.png", n * 50)
        write(tmp_path / "Annotations" / folder / "a.xml", voc_xml("a.png", ("cat", 1, 1, 10 + n, 10)))
    import_path(store, "pets", tmp_path)
    assert {image.file_name: image.boxes_xyxy[0, 2] for image in labelled(store)} == {"x/a.png": 10, "y/a.png": 11}


def test_every_bad_file_and_object_is_one_line(store: Store, tmp_path: Path) -> None:
    folder = voc_folder(tmp_path, 1) / "Annotations"
    for n, name in enumerate(["b", "c", "d", "e"], start=1):
        paint(tmp_path / "JPEGImages" / f"{name}.png", n * 40)
    write(folder / "b.xml", "<annotation><object>")
    write(folder / "c.xml", "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><annotation>&x;</annotation>")
    write(folder / "d.xml", "<song/>")
    objects = [
        ("cat", 5, 5, 5, 9),
        ("cat", "a", 1, 2, 3),
        ("cat", "nan", 1, 2, 3),
        ("cat", 1, 1, "inf", 3),
        ("", 1, 1, 9, 9),
    ]
    write(folder / "e.xml", voc_xml("e.png", *objects).replace("</annotation>", "<object/></annotation>"))
    write(folder / "f.xml", voc_xml("gone.png", ("cat", 1, 1, 9, 9)))
    report = import_path(store, "pets", tmp_path)
    found = [f"{skipped.what}: {skipped.reason}" for skipped in report.skipped]
    assert report.annotations == 1
    assert len(found) == 11 and all("\n" not in line for line in found)
    for part in (
        "b.xml: it is not valid XML",
        "c.xml: it declares a document type",
        "d.xml: it is not an annotation",
        "e.xml: object 1 (cat): the box [5, 5, 5, 9] has no area",
        "e.xml: object 2 (cat): its xmin is 'a', not a number",
        "e.xml: object 3 (cat): its box is not finite",
        "e.xml: object 4 (cat): its box is not finite",
        "e.xml: object 6 (): its xmin is None",
        "f.xml: its image 'gone.png' is not in",
        "category '': The category name is empty",
        "e.png: object 5 (): its category is unknown or was left out",
    ):
        assert any(line.startswith(part) for line in found), (part, found)


@pytest.mark.parametrize("kind", ["laughs", "quadratic", "deep"])
def test_hostile_xml_is_left_out(store: Store, tmp_path: Path, kind: str) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    text = {
        "laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><annotation>&l9;</annotation>',
        "quadratic": f'<!DOCTYPE a [<!ENTITY l "{"x" * 50_000}">]><annotation>{"&l;" * 5_000}</annotation>',
        "deep": "<annotation>" + "<a>" * 1_000_000,
    }[kind]
    write(voc_folder(tmp_path, 1) / "Annotations" / "bad.xml", text)
    report = import_path(store, "pets", tmp_path)
    assert (report.annotations, [skipped.what for skipped in report.skipped]) == (1, ["bad.xml"])


def test_bccd_goes_in_but_for_its_two_boxes_without_area(store: Store) -> None:
    report = import_path(store, "cells", real_data("bccd"))
    assert (report.images, report.annotations, report.categories) == (364, 4886, 3)
    assert [skipped.what for skipped in report.skipped] == [
        "BloodImage_00338.xml: object 13 (RBC)",
        "BloodImage_00343.xml: object 4 (RBC)",
    ]
    with store.reading() as session:
        dataset_id = dataset_by_name(session, "cells").id
        sizes = {split: len(labelled_images(session, dataset_id, split)) for split in ("train", "val", "test")}
        assert sizes == {"train": 205, "val": 87, "test": 72}
        assert [row.name for row in categories(session, dataset_id)] == ["Platelets", "RBC", "WBC"]


def test_raccoons_that_are_there_twice_are_noticed(store: Store) -> None:
    report = import_path(store, "raccoons", real_data("raccoon"))
    assert (report.images, report.annotations, len(report.duplicates)) == (196, 213, 4)
    assert report.skipped == []
