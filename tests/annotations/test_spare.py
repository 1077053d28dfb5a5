from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from annotations.database import Store
from annotations.models import Annotation, Caption, Image
from annotations.spare import spare_images
from tests.annotations.makers import make_image, make_scene


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "groundwork.db") as opened:
        yield opened


def spare(store: Store, dataset_id: int) -> list[int]:
    with store.reading() as session:
        return [image.id for image in spare_images(session, dataset_id)]


def add(store: Store, dataset_id: int, position: int, **facts: object) -> int:
    """An image of a file of its own, with these columns set."""
    with store.writing() as session:
        image = make_image(session, dataset_id, position)
        image.sha256 = f"{dataset_id:032x}{position:032x}"
        for name, value in facts.items():
            setattr(image, name, value)
        session.flush()
        return image.id


def test_images_that_teach_nothing_here_are_spare_own_ones_first(store: Store) -> None:
    pets, birds = make_scene(store, "pets"), make_scene(store, "birds")
    second = add(store, birds.dataset_id, 1)
    own = add(store, pets.dataset_id, 2, split="train")
    assert spare(store, pets.dataset_id) == [pets.image_id, own, second]  # birds' first is the same file as pets' first


def test_labelled_done_and_captioned_images_are_not_spare_in_their_own_dataset(store: Store) -> None:
    pets = make_scene(store)
    captioned, labelled = add(store, pets.dataset_id, 1), add(store, pets.dataset_id, 3)
    add(store, pets.dataset_id, 2, done_at=datetime.now(UTC))
    with store.writing() as session:
        session.add(Caption(image_id=captioned, text="a cat", kind="caption", position=0))
        box = {"x1": 0, "y1": 0, "x2": 9, "y2": 9}
        source = {"source": "person", "created_by": "ada"}
        session.add(Annotation(id=uuid4(), image_id=labelled, category_id=pets.cat, **box, **source))
    assert spare(store, pets.dataset_id) == [pets.image_id]
    other = make_scene(store, "birds")
    add(store, other.dataset_id, 5)
    assert labelled in spare(store, other.dataset_id)


def test_no_file_of_a_val_or_test_split_is_spare_wherever_it_lies(store: Store) -> None:
    pets, birds = make_scene(store, "pets"), make_scene(store, "birds")
    add(store, pets.dataset_id, 1, split="val")
    add(store, birds.dataset_id, 1, split="test")
    with store.writing() as session:  # the same file in both datasets, kept apart in one of them
        image = session.get(Image, birds.image_id)
        assert image is not None
        image.split = "test"
    assert spare(store, pets.dataset_id) == []


def test_a_file_that_is_labelled_here_is_not_spare_through_another_dataset(store: Store) -> None:
    pets = make_scene(store, "pets")
    make_scene(store, "birds")
    with store.writing() as session:
        image = session.get(Image, pets.image_id)
        assert image is not None
        image.done_at = datetime.now(UTC)
    assert spare(store, pets.dataset_id) == []
