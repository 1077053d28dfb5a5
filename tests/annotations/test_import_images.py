"""A folder of pictures is indexed where it lies, and nothing in it is changed."""

import hashlib
import os
from pathlib import Path

import pytest

from annotations.database import Store
from annotations.errors import EditRefused, ImportRefused
from annotations.importers import import_path
from annotations.importers.doors import detect_format
from annotations.queries import dataset_by_name, images_page
from tests.annotations.pictures import paint, real_data, write


def names(store: Store, dataset: str) -> list[str]:
    with store.reading() as session:
        return [row.file_name for row in images_page(session, dataset_by_name(session, dataset).id).items]


def test_a_folder_is_indexed_with_its_sub_folders(store: Store, tmp_path: Path) -> None:
    for shade, name in enumerate(["b.png", "a/x.jpg", "c/x.jpg", ".hidden/y.png", "a/._x.jpg"]):
        paint(tmp_path / "in" / name, shade * 20)
    write(tmp_path / "in" / "notes.txt", "not a picture")
    seen: list[tuple[int, int]] = []
    report = import_path(store, "pets", tmp_path / "in", progress=lambda done, total: seen.append((done, total)))
    assert (report.images, report.annotations, report.skipped, report.duplicates) == (3, 0, [], [])
    assert names(store, "pets") == ["a/x.jpg", "b.png", "c/x.jpg"]
    assert seen[-1] == (3, 3)


def test_the_originals_are_left_as_they_are(store: Store, tmp_path: Path) -> None:
    path = paint(tmp_path / "in" / "a.jpg")
    before = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
    import_path(store, "pets", tmp_path / "in")
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) == before
    assert sorted(file.name for file in (tmp_path / "in").iterdir()) == ["a.jpg"]


def test_bad_pictures_are_left_out_with_the_reason_and_the_rest_goes_in(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    paint(folder / "good.png")
    whole = paint(folder / "cut.jpg", 9, (300, 300)).read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    write(folder / "text.jpg", "I am a text file")
    write(folder / "empty.png", "")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "pipe.png")
    report = import_path(store, "pets", folder)
    assert report.images == 1
    assert [skipped.what for skipped in report.skipped] == ["cut.jpg", "empty.png", "text.jpg"]
    assert all(skipped.reason and "\n" not in skipped.reason for skipped in report.skipped)


def test_the_same_picture_twice_is_kept_once_and_told(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "in" / "a.png")
    paint(tmp_path / "in" / "b" / "copy.png")
    report = import_path(store, "pets", tmp_path / "in")
    assert report.images == 1
    assert [(copy.file_name, copy.first) for copy in report.duplicates] == [("b/copy.png", "a.png")]


def test_importing_again_adds_only_what_is_new(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "in" / "a.png", 1)
    import_path(store, "pets", tmp_path / "in")
    paint(tmp_path / "in" / "b.png", 2)
    report = import_path(store, "pets", tmp_path / "in")
    assert (report.images, report.known, report.duplicates) == (1, 1, [])
    assert names(store, "pets") == ["a.png", "b.png"]


def test_one_name_in_two_folders_is_numbered(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "one" / "a.png", 1)
    paint(tmp_path / "two" / "a.png", 2)
    import_path(store, "pets", tmp_path / "one")
    import_path(store, "pets", tmp_path / "two")
    assert names(store, "pets") == ["a.png", "a-2.png"]


def test_odd_file_names_do_not_stop_an_import(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for shade, name in enumerate(
        ["<img src=x>.png", "new\nline.png", "${x}.png", "😀.png", "a'b\"c;--.png", "%2e%2e.png"]
    ):
        paint(folder / name, shade * 10)
    good = paint(folder / "plain.png", 99)
    bad = os.fsencode(folder) + b"/caf\xe9.png"
    with open(bad, "wb") as file:  # noqa: PTH123 - the name cannot be a Path that prints
        file.write(good.read_bytes() + b"\0")
    report = import_path(store, "pets", folder)
    assert report.images == 7
    assert [(skipped.what, skipped.reason) for skipped in report.skipped] == [
        ("caf\\udce9.png", "its path is not valid UTF-8: rename it")
    ]


def test_a_ring_of_links_ends(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    assert import_path(store, "pets", tmp_path / "in").images == 1


def test_a_single_picture_can_be_imported(store: Store, tmp_path: Path) -> None:
    assert import_path(store, "pets", paint(tmp_path / "one.png")).images == 1


def test_a_split_is_given_to_every_image(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "in" / "a.png")
    import_path(store, "pets", tmp_path / "in", split="val")
    with store.reading() as session:
        page = images_page(session, dataset_by_name(session, "pets").id)
    assert [row.split for row in page.items] == ["val"]


def test_what_cannot_be_imported_is_refused_in_one_line_and_leaves_no_dataset(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "missing", tmp_path / "empty", write(tmp_path / "a.doc", "x")):
        with pytest.raises(ImportRefused) as refusal:
            import_path(store, "pets", path)
        assert "\n" not in str(refusal.value)
    with pytest.raises(ImportRefused, match="no folder"):
        import_path(store, "pets", paint(tmp_path / "a.png"), images_dir=tmp_path / "nowhere")
    with pytest.raises(EditRefused, match="line break"):
        import_path(store, "two\nlines", tmp_path / "a.png")
    with store.reading() as session:
        assert images_page(session, 1).total == 0


@pytest.mark.parametrize(
    ("folder", "format"),
    [
        ("bccd", "voc"),
        ("raccoon", "voc"),
        ("coco128/object_detection", "yolo"),
        ("coco128/instance_segmentation", "yolo"),
        ("coco128/images", "images"),
        ("exif_orientation", "images"),
    ],
)
def test_the_format_of_real_data_is_found_out(folder: str, format: str) -> None:
    assert detect_format(real_data(folder)) == format


def test_pictures_are_indexed_by_their_upright_size(store: Store) -> None:
    import_path(store, "exif", real_data("exif_orientation"))
    with store.reading() as session:
        rows = images_page(session, dataset_by_name(session, "exif").id).items
    assert len({(row.width, row.height) for row in rows}) == 1
