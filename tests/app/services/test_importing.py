import io
from pathlib import Path

import pytest
from PIL import Image

from annotations.errors import EditRefused, NotFound
from annotations.queries import datasets, image_by_id, images_page
from app.services import Services
from app.services.importing import safe_name
from common.images import ImageRefused


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a.png", "a.png"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\temp\\x y.JPG", "x_y.jpg"),
        ("<script>.png", "script.png"),
        ("...png", "image.png"),
        ("日本.png", "image.png"),
        (".png.png", "png.png"),
        ("a" * 300 + ".png", "a" * 80 + ".png"),
    ],
)
def test_a_name_from_a_browser_is_made_harmless(sent: str, kept: str) -> None:
    assert safe_name(sent) == kept


@pytest.mark.parametrize("sent", ["a.svg", "a.html", "a", "", "a.png.exe", "a.png/"])
def test_only_images_are_taken_from_a_browser(sent: str) -> None:
    with pytest.raises(ImageRefused, match="is not an image"):
        safe_name(sent)


def test_an_upload_is_kept_in_the_workspace_and_counted_once(services: Services, dataset_id: int) -> None:
    first = services.importer.upload(dataset_id, "red.png", png("red"))
    assert services.importer.upload(dataset_id, "again.png", png("red")) == first
    second = services.importer.upload(dataset_id, "red.png", png("blue"))
    assert second != first
    with services.store.reading() as session:
        images = [image_by_id(session, image_id) for image_id in (first, second)]
        assert [image.file_name for image in images] == ["red.png", "red-2.png"]
        assert all(Path(image.path).is_relative_to(services.workspace.uploads) for image in images)


def test_an_upload_that_is_no_image_leaves_nothing(services: Services, dataset_id: int) -> None:
    with pytest.raises(ImageRefused):
        services.importer.upload(dataset_id, "a.png", b"<html>")
    assert [path for path in services.workspace.uploads.rglob("*") if path.is_file()] == []


def test_a_refused_upload_is_called_what_the_person_called_it(services: Services, dataset_id: int) -> None:
    with pytest.raises(ImageRefused, match=r"'cat photo\.png' is not an image"):
        services.importer.upload(dataset_id, "cat photo.png", b"<html>")


def test_an_upload_into_no_dataset_is_refused(services: Services) -> None:
    with pytest.raises(NotFound):
        services.importer.upload(999, "a.png", png("red"))


def test_the_examples_can_be_opened_twice_and_are_there_once(services: Services) -> None:
    first = services.importer.create_examples()
    assert services.importer.create_examples() == first
    with services.store.reading() as session:
        (dataset,) = datasets(session)
        assert (dataset.id, dataset.name) == (first[0], "examples")
        shown = images_page(session, dataset.id)
        assert {row.file_name: row.id for row in shown.items} == first[1]
        assert shown.total == 6


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
def test_a_dataset_needs_a_name_on_one_line(services: Services, name: str) -> None:
    with pytest.raises(EditRefused) as refused:
        services.importer.create_dataset(name)
    assert "\n" not in str(refused.value)
