"""Captions and expressions of a dataset, from the store to the document."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotations.captions import CaptionText, Phrase, add_captions, expression
from annotations.database import Store
from annotations.datasets import add_image, create_dataset
from annotations.errors import NotFound
from annotations.models import Image as Row
from app.services.captions import evaluate_benchmark, evaluate_captions
from app.services.models import Models
from common.images import ImageRefused, probe_image
from tests.training.metrics.test_captions import A, B, Oracle, boxes
from tests.training.metrics.test_public import coco, folder
from training.errors import LayoutRefused
from training.metrics.public import Place

__all__ = ["folder"]  # a fixture

ANSWERS = {
    "a cat and a dog": [(A, 0.9, 0), (A, 0.8, 1)],
    "the left one": [(A, 0.9, 0)],
    "no cow": [(B, 0.65, 0)],
}


class Answering(Models):
    """Models of which the one at work is the oracle."""

    def detector(self, name: str | None = None, is_wanted: object = None) -> Any:
        return Oracle(ANSWERS)


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """Dataset "texts": two images of val, the first with a caption, the second with two expressions."""
    store = Store.open(folder / "groundwork.db")
    cat, dog = Phrase(((2, 5),), boxes(A)), Phrase(((12, 15),), boxes(B))
    texts = (
        [CaptionText(0, "a cat and a dog", "caption", (cat, dog))],
        [expression("the left one", boxes(A)), expression("no cow", boxes())],
    )
    with store.writing() as session:
        dataset_id = create_dataset(session, "texts").id
        for name, own in zip(("a.png", "b.png"), texts, strict=True):
            Image.fromarray(np.full((20, 60, 3), len(own), np.uint8)).save(folder / name)
            image_id = add_image(session, dataset_id, folder / name, name, probe_image(folder / name)).id
            session.get_one(Row, image_id).split = "val"
            add_captions(session, image_id, own)
    yield store
    store.close()


def test_phrases_of_captions_are_recalled(store: Store) -> None:
    document = evaluate_captions(store, Answering(store), "texts", "val", "ground").as_json()
    assert set(document) == {"detector", "dataset", "split", "images", "metrics", "per_category", "task"}
    assert (document["task"], document["images"], document["split"]) == ("ground", 1, "val")
    assert document["metrics"] == {f"{kind}R@{rank}": 0.5 for kind in ("", "merged ") for rank in (1, 5, 10)}


def test_expressions_have_precision_and_an_accuracy_of_empty_answers(store: Store) -> None:
    document = evaluate_captions(store, Answering(store), "texts", None, "refer")
    assert (document.metrics["P@1"], document.metrics["N-acc"], document.metrics["threshold"]) == (1, 1, 0.7)
    lower = evaluate_captions(store, Answering(store), "texts", None, "refer", threshold=0.6)
    assert (lower.metrics["N-acc"], lower.metrics["threshold"]) == (0, 0.6)


@pytest.mark.parametrize(("task", "said"), [("ground", "no caption in the 'test' split"), ("refer", "no expression")])
def test_a_split_without_texts_is_one_line(store: Store, task: str, said: str) -> None:
    with pytest.raises(NotFound, match=said):
        evaluate_captions(store, Answering(store), "texts", "test", task)  # type: ignore[arg-type]


def test_a_benchmark_is_measured_without_being_imported(folder: Path) -> None:
    class Found(Models):
        def detector(self, name: str | None = None, is_wanted: object = None) -> Any:
            from tests.training.metrics.test_public import Lister

            return Lister({"dog": [(A, 0.9, 0)]})

    store = Store.open(folder / "groundwork.db")
    document = evaluate_benchmark(Found(store), Place("coco", coco(folder)))
    assert (document.dataset, document.task, document.images) == ("coco annotations.json", "detect", 2)
    assert document.per_category["dog"]["AP50"] == 1
    store.close()


def test_texts_of_a_damaged_image_are_left_out_and_counted(store: Store, folder: Path) -> None:
    with store.writing() as session:
        dataset_id = session.query(Row).where(Row.file_name == "a.png").one().dataset_id
        path = folder / "c.png"
        Image.fromarray(np.full((20, 60, 3), 9, np.uint8)).save(path)
        image_id = add_image(session, dataset_id, path, "c.png", probe_image(path)).id
        add_captions(session, image_id, [expression("the left one", boxes(A)), expression("unread words", boxes(A))])
    document = evaluate_captions(store, Answering(store), "texts", None, "refer")
    assert (document.images, document.metrics["P@1"]) == (2, 1)
    assert document.as_json()["skipped"] == {"count": 1, "reasons": ["'unread words' is too long."]}
    path.write_bytes(b"no picture")
    document = evaluate_captions(store, Answering(store), "texts", None, "refer")
    assert (document.images, document.skipped and document.skipped["count"]) == (1, 2)


def test_texts_that_can_all_not_be_read_are_one_line(store: Store, folder: Path) -> None:
    (folder / "a.png").unlink()
    with pytest.raises(ImageRefused, match=r"None of the 1 texts can be asked for.*a\.png"):
        evaluate_captions(store, Answering(store), "texts", "val", "ground")


def test_a_benchmark_file_is_refused_before_the_detector_is_loaded(folder: Path) -> None:
    class Unloaded(Models):
        def detector(self, name: str | None = None, is_wanted: object = None) -> Any:
            raise AssertionError("the weights were loaded")

    store = Store.open(folder / "groundwork.db")
    (folder / "broken.json").write_text("{")
    with pytest.raises(LayoutRefused, match=r"broken\.json is not valid JSON"):
        evaluate_benchmark(Unloaded(store), Place("coco", folder / "broken.json"))
    store.close()
