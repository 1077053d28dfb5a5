"""Reads count what is there, in a fixed number of statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import event

from annotations.database import Store
from annotations.datasets import add_image
from annotations.edits import Edit, apply_edit
from annotations.errors import EditRefused, NotFound
from annotations.models import Image
from annotations.predictions import NewPrediction, save_predictions
from annotations.queries import (
    DatasetSummary,
    dataset_by_id,
    dataset_by_name,
    datasets,
    image_shapes,
    images_page,
    labelled_images,
)
from common.images import ImageInfo
from common.masks import encode_mask
from tests.annotations.makers import Scene, make_image, make_scene, number


@pytest.fixture
def scene(store: Store) -> Scene:
    """Image 0 has two annotations, image 1 a waiting prediction, image 2 is done and empty, image 3 is new."""
    scene = make_scene(store)
    with store.writing() as session:
        images = [scene.image_id] + [make_image(session, scene.dataset_id, n).id for n in (1, 2, 3)]
        mask = encode_mask(np.ones((80, 100), bool))
        boxes = (
            {"id": number(1), "category_id": scene.dog, "xyxy": (1, 2, 30, 40), "mask": mask},
            {"id": number(2), "category_id": scene.cat, "xyxy": (5, 6, 70, 80)},
        )
        apply_edit(session, Edit(uuid4(), "create", images[0], "ada", boxes))
        save_predictions(
            session, images[1], [NewPrediction(scene.cat, (1, 2, 30, 40), 0.5)], checkpoint="c", prompt="p"
        )
        apply_edit(session, Edit(uuid4(), "mark", images[2], "ada", ({"done": True},)))
        session.get_one(Image, images[0]).split = "train"
        session.get_one(Image, images[2]).split = "val"
    return scene


@contextmanager
def statements_of(store: Store) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    with store.reading() as session:
        engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_dataset_shows_its_counts(store: Store, scene: Scene) -> None:
    make_scene(store, "empty one")
    with store.reading() as session:
        assert datasets(session) == [
            DatasetSummary(2, "empty one", images=1, done=0, annotations=0, pending=0, prompt=None),
            DatasetSummary(scene.dataset_id, "pets", images=4, done=1, annotations=2, pending=1, prompt=None),
        ]
        assert dataset_by_name(session, "pets") == dataset_by_id(session, scene.dataset_id)


def test_an_unknown_dataset_is_named_with_those_that_exist(store: Store, scene: Scene) -> None:
    with store.reading() as session:
        with pytest.raises(NotFound, match=r"no dataset 'cats'\. There are: 'pets'\."):
            dataset_by_name(session, "cats")
        with pytest.raises(NotFound):
            dataset_by_id(session, 99)
        with pytest.raises(NotFound):
            image_shapes(session, 99)


@pytest.mark.parametrize(
    ("filter", "positions"), [("all", [0, 1, 2, 3]), ("new", [0, 3]), ("review", [1]), ("done", [2])]
)
def test_every_image_is_new_in_review_or_done(store: Store, scene: Scene, filter: str, positions: list[int]) -> None:
    with store.reading() as session:
        page = images_page(session, scene.dataset_id, filter=filter)  # type: ignore[arg-type]
    assert [row.file_name for row in page.items] == [f"{position}.png" for position in positions]
    assert page.total == len(positions)


def test_a_page_of_images_has_its_counts_and_two_statements(store: Store, scene: Scene) -> None:
    with statements_of(store) as seen, store.reading() as session:
        page = images_page(session, scene.dataset_id, offset=0, limit=3)
    assert [(row.annotations, row.pending, row.done) for row in page.items] == [
        (2, 0, False),
        (0, 1, False),
        (0, 0, True),
    ]
    assert page.total == 4
    assert len([statement for statement in seen if statement.startswith("SELECT")]) == 2


def test_search_finds_parts_of_names_and_takes_wildcards_literally(store: Store, scene: Scene) -> None:
    with store.reading() as session:
        assert images_page(session, scene.dataset_id, search="2.P").total == 1
        assert images_page(session, scene.dataset_id, search="%").total == 0
        with pytest.raises(EditRefused, match="Unknown filter"):
            images_page(session, scene.dataset_id, filter="odd")  # type: ignore[arg-type]


def test_an_image_tells_all_there_is_to_draw(store: Store, scene: Scene) -> None:
    with store.reading() as session:
        found = image_shapes(session, scene.image_id, "ada")
        other = image_shapes(session, scene.image_id, "bob")
    assert set(found) == {"image", "categories", "annotations", "predictions", "can_undo", "can_redo"}
    assert found["image"] == {
        "id": scene.image_id,
        "file_name": "0.png",
        "width": 100,
        "height": 80,
        "done": False,
        "split": "train",
        "revision": 1,
    }
    assert (found["can_undo"], found["can_redo"], other["can_undo"]) == (True, False, False)


def test_2000_shapes_are_read_in_few_statements(store: Store) -> None:
    scene = make_scene(store)
    mask = encode_mask(np.ones((80, 100), bool))
    items = tuple(
        {"id": number(n), "category_id": scene.cat, "xyxy": (n % 90, n % 70, n % 90 + 5, n % 70 + 5), "mask": mask}
        for n in range(1, 2001)
    )
    with store.writing() as session:
        apply_edit(session, Edit(uuid4(), "create", scene.image_id, "ada", items))
    with statements_of(store) as seen, store.reading() as session:
        assert len(image_shapes(session, scene.image_id)["annotations"]) == 2000
    assert len(seen) <= 7  # BEGIN, image, log, categories, phrases, annotations, predictions


def test_images_to_learn_from_are_those_with_labels_or_marked_done(store: Store, scene: Scene) -> None:
    with store.reading() as session:
        found = labelled_images(session, scene.dataset_id)
        train = labelled_images(session, scene.dataset_id, "train")
    assert [image.file_name for image in found] == ["0.png", "2.png"]
    assert [image.file_name for image in train] == ["0.png"]
    labelled, empty = found
    assert labelled.boxes_xyxy.tolist() == [[1, 2, 30, 40], [5, 6, 70, 80]]
    assert labelled.boxes_xyxy.dtype == np.float32
    assert labelled.category_ids.tolist() == [scene.dog, scene.cat]
    assert [rle is None for rle in labelled.rles] == [False, True]
    assert empty.boxes_xyxy.shape == (0, 4)
    assert empty.category_ids.shape == (0,)


def test_an_uploaded_image_gets_a_free_name_and_its_copy_is_refused(store: Store, scene: Scene) -> None:
    with store.writing() as session:
        added = add_image(session, scene.dataset_id, Path("/up/0.png"), "0.png", ImageInfo(5, 6, "ab" * 32, "PNG"))
        assert (added.file_name, added.position) == ("0-2.png", 4)
        with pytest.raises(EditRefused, match=r"same content as '0-2\.png'"):
            add_image(session, scene.dataset_id, Path("/up/9.png"), "9.png", ImageInfo(5, 6, "ab" * 32, "PNG"))
