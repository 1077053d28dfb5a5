from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotations.categories import add_category, ensure_categories
from annotations.models import Annotation, Image, utc_now
from tests.training.coloured_squares import ONTOLOGY, labelled
from tests.training.workspaces import Bench, add_squares, make_bench
from training.dataset import LabelledDataset, load_dataset, read_dataset, save_dataset, split_for_training
from training.errors import NothingToTrain


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "workspace")
    yield made
    made.store.close()


def dataset(*images: tuple[str | None, int]) -> LabelledDataset:
    """A dataset of images by their split and number of boxes."""
    rows = [
        labelled(index, f"/{index}.png", 100, 100, [[0, 0, 10, 10]] * boxes, [0] * boxes, split)  # type: ignore[arg-type]
        for index, (split, boxes) in enumerate(images)
    ]
    return LabelledDataset(1, "squares", ONTOLOGY, tuple(rows))


def test_categories_become_indices_whatever_their_ids(bench: Bench) -> None:
    add_squares(bench, train=1, name="other")  # its categories take the first ids
    dataset_id = add_squares(bench, train=3)
    with bench.store.writing() as session:
        ensure_categories(session, dataset_id, [("red car", ("red car", "automobile"))])
        add_category(session, dataset_id, "bird")
    with bench.store.reading() as session:
        read = read_dataset(session, "squares")
    assert read.ontology.names == ("blue ball", "red car", "bird")
    assert read.ontology.categories[1].phrases == ("red car", "automobile")
    assert {int(class_id) for image in read.images for class_id in image.category_ids} <= {0, 1}


def test_an_image_marked_done_teaches_that_nothing_is_there(bench: Bench) -> None:
    dataset_id = add_squares(bench, train=2)
    with bench.store.writing() as session:
        for position, done_at in ((2, utc_now()), (3, None)):
            session.add(
                Image(
                    dataset_id=dataset_id,
                    path=f"/{position}",
                    file_name=f"{position}",
                    sha256="0" * 64,
                    width=9,
                    height=9,
                    position=position,
                    done_at=done_at,
                )
            )
    with bench.store.reading() as session:
        assert [image.file_name for image in read_dataset(session, "squares").images] == ["0.png", "1.png", "2"]


def test_labels_come_back_from_their_file_as_they_were(bench: Bench, tmp_path: Path) -> None:
    add_squares(bench, train=2, val=1)
    with bench.store.writing() as session:
        session.query(Annotation).first().iscrowd = True  # type: ignore[union-attr]
    with bench.store.reading() as session:
        read = read_dataset(session, "squares")
    save_dataset(read, tmp_path / "dataset.json")
    back = load_dataset(tmp_path / "dataset.json")
    assert (back.id, back.name, back.ontology) == (read.id, read.name, read.ontology)
    for one, other in zip(back.images, read.images, strict=True):
        assert (one.id, one.path, one.file_name, one.split) == (other.id, other.path, other.file_name, other.split)
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
        np.testing.assert_array_equal(one.category_ids, other.category_ids)
        np.testing.assert_array_equal(one.iscrowd, other.iscrowd)
    assert any(image.iscrowd.any() for image in back.images)


def test_images_without_a_split_are_learnt_from_and_test_images_never() -> None:
    splits = split_for_training(dataset((None, 1), ("train", 1), ("val", 1), ("test", 1)), 0.2, 0)
    assert [image.id for image in splits.train] == [0, 1]
    assert [image.id for image in splits.validation] == [2]
    assert splits.note is None


def test_images_held_out_are_the_same_each_time_and_never_learnt_from() -> None:
    whole = dataset(*[("train", 1)] * 20)
    splits = split_for_training(whole, 0.25, seed=3)
    held = {image.id for image in splits.validation}
    assert len(held) == 5
    assert held | {image.id for image in splits.train} == set(range(20))
    assert held == {image.id for image in split_for_training(whole, 0.25, seed=3).validation}
    assert held != {image.id for image in split_for_training(whole, 0.25, seed=4).validation}
    assert splits.note == "There is no labelled val split: 5 of 20 images are held out to measure on."


def test_a_val_split_without_boxes_measures_nothing_so_some_images_are_held_out() -> None:
    splits = split_for_training(dataset(("val", 0), *[("train", 1)] * 8), 0.25, 0)
    assert len(splits.validation) == 2


def test_few_boxes_among_many_empty_images_are_all_used() -> None:
    splits = split_for_training(dataset(("train", 2), *[("train", 0)] * 20), 0.2, 0)
    assert len(splits.train) == len(splits.validation) == 21
    assert splits.note == "Too few images have boxes to hold some out, so the numbers flatter."


def test_a_dataset_without_categories_has_nothing_to_teach(bench: Bench) -> None:
    from annotations.models import Dataset

    with bench.store.writing() as session:
        session.add(Dataset(name="bare"))
    with bench.store.reading() as session, pytest.raises(NothingToTrain, match="'bare' has no category"):
        read_dataset(session, "bare")


def test_of_split_gives_all_images_without_a_name() -> None:
    whole = dataset(("train", 1), (None, 1))
    assert len(whole.of_split(None)) == 2
    assert [image.id for image in whole.of_split("train")] == [0]
    assert replace(whole, images=()).of_split("train") == []
