"""Benchmarks in their own layouts, from the file to the number."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from PIL import Image

from common.images import ImageRefused
from engine.ontology import Ontology
from engine.preprocessing import Picture
from tests.training.metrics.test_captions import A, B, Oracle
from training.errors import LayoutRefused
from training.metrics import COCO_METRICS, described_ap, lvis_fixed_ap, phrase_recall, referring_precision
from training.metrics.public import TASKS, Place, evaluate_public, read_public


class Lister(Oracle):
    """Answers a prompt with boxes that were written down for each phrase."""

    def detect(
        self, images: Sequence[Picture], ontology: Ontology, *, threshold: float = 0.3, top_k: int = 300
    ) -> list[sv.Detections]:
        rows = [
            (box, score, index)
            for index, name in enumerate(ontology.names)
            for box, score, _ in self.answers.get(name, [])
        ]
        answer = Oracle({"all": rows})
        return [answer._answer("all") for _ in images]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((20, 60, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


def written(folder: Path, document: dict[str, Any], name: str = "annotations.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def image(identity: int, name: str = "a.png", **more: Any) -> dict[str, Any]:
    return {"id": identity, "file_name": name, "width": 60, "height": 20, **more}


def box(identity: int, image_id: int, xyxy: list[float], category: int = 1, **more: Any) -> dict[str, Any]:
    x1, y1, x2, y2 = xyxy
    area = (x2 - x1) * (y2 - y1)
    return {
        "id": identity, "image_id": image_id, "category_id": category, "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": area, "iscrowd": 0, **more,
    }  # fmt: skip


def coco(folder: Path) -> Path:
    return written(
        folder,
        {
            "images": [image(7), image(9, "b.png")],
            "annotations": [box(1, 7, A, 18), box(2, 9, A, 18), box(3, 7, B, 3)],
            "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "traffic_light"}],
        },
    )


def test_coco_asks_for_all_names_and_scores_by_place(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    oracle = Lister({"dog": [(A, 0.9, 0)], "traffic light": [(B, 0.8, 0)]})
    found = evaluate_public(oracle, Place("coco", coco(folder)), progress=lambda *step: told.append(step))
    # the light of the second image is a false alarm that comes after the right one, which costs nothing
    assert found.metrics["AP50"] == 1
    assert set(found.per_category) == {"dog", "traffic_light"}
    assert told == [(1, 2), (2, 2)]


def test_pictures_may_stand_in_a_folder_of_their_own(folder: Path) -> None:
    (folder / "labels").mkdir()
    path = coco(folder).rename(folder / "labels" / "annotations.json")
    oracle = Lister({"dog": [(A, 0.9, 0)]})
    assert evaluate_public(oracle, Place("coco", path, folder)).metrics["AP50"] == 0.5
    with pytest.raises(ImageRefused):
        evaluate_public(oracle, Place("coco", path))


def test_lvis_names_of_one_word_are_asked_for_once_and_answer_for_both(folder: Path) -> None:
    path = written(
        folder,
        {
            "images": [image(1, neg_category_ids=[3], not_exhaustive_category_ids=[])],
            "annotations": [box(1, 1, A, 1), box(2, 1, B, 2)],
            "categories": [
                {"id": 1, "name": "bow_(weapon)", "frequency": "r"},
                {"id": 2, "name": "bow_(decorative_ribbons)", "frequency": "f"},
                {"id": 3, "name": "cow", "frequency": "c"},
            ],
        },
    )
    found = evaluate_public(Lister({"bow": [(A, 0.9, 0), (B, 0.8, 0)]}), Place("lvis", path))
    # each bow is right in one of its two boxes: the weapon's comes first (AP 1), the ribbon's second (AP 0.5)
    assert found.metrics["APr"] == pytest.approx(1)
    assert found.metrics["APf"] == pytest.approx(0.5)


def test_odinw_is_the_mean_over_the_datasets_below_a_folder(folder: Path) -> None:
    for name, answered in (("Dogs", "dog"), ("Cows", "cow")):
        own = folder / name / "valid"
        own.mkdir(parents=True)
        Image.fromarray(np.zeros((20, 60, 3), np.uint8)).save(own / "a.png")
        document = {
            "images": [image(1)], "annotations": [box(1, 1, A, 1)], "categories": [{"id": 1, "name": answered}],
        }  # fmt: skip
        written(own, document, "annotations_without_background.json")
    found = evaluate_public(Lister({"dog": [(A, 0.9, 0)]}), Place("odinw", folder))
    assert found.metrics["AP50"] == 0.5
    assert {name: row["AP50"] for name, row in found.per_category.items()} == {"Dogs": 1, "Cows": 0}


def test_odinw13_leaves_the_other_datasets_out(folder: Path) -> None:
    document = {"images": [image(1)], "annotations": [box(1, 1, A, 1)], "categories": [{"id": 1, "name": "dog"}]}
    for name in ("Aquarium", "Dogs"):
        own = folder / name / "valid"
        own.mkdir(parents=True)
        Image.fromarray(np.zeros((20, 60, 3), np.uint8)).save(own / "a.png")
        written(own, document, "annotations_without_background.json")
    found = evaluate_public(Lister({"dog": [(A, 0.9, 0)]}), Place("odinw", folder), thirteen=True)
    assert list(found.per_category) == ["Aquarium"]
    shutil.rmtree(folder / "Aquarium")
    with pytest.raises(LayoutRefused, match="nothing to measure on"):
        read_public(Place("odinw", folder), thirteen=True)


def test_all_datasets_of_odinw_are_read_before_the_first_is_measured(folder: Path) -> None:
    good = {"images": [image(1)], "annotations": [], "categories": [{"id": 1, "name": "dog"}]}
    for name, document in (("Cows", good), ("Dogs", {"images": []})):
        (folder / name / "valid").mkdir(parents=True)
        written(folder / name / "valid", document, "annotations_without_background.json")
    with pytest.raises(LayoutRefused, match="no list 'annotations'"):
        read_public(Place("odinw", folder))


def test_flickr_ranks_the_phrases_of_each_caption(folder: Path) -> None:
    text = "a cat and a dog"
    path = written(
        folder,
        {
            "images": [image(1, caption=text, tokens_positive_eval=[[[2, 5]], [[12, 15]]])],
            "annotations": [box(1, 1, A, tokens_positive=[[2, 5]]), box(2, 1, B, tokens_positive=[[12, 15]])],
            "categories": [],
        },
    )
    found = evaluate_public(Oracle({text: [(A, 0.9, 0), (A, 0.8, 1)]}), Place("flickr", path))
    assert found.metrics["R@1"] == found.metrics["merged R@10"] == 0.5


def test_referring_expressions_with_and_without_a_target(folder: Path) -> None:
    rows = [image(1, caption="left", dataset_name="g"), image(2, caption="no cow", dataset_name="g")]
    empty = {"id": 2, "image_id": 2, "category_id": -1, "bbox": [0, 0, 0, 0], "empty": True}
    oracle = Oracle({"left": [(A, 0.9, 0)], "no cow": [(B, 0.65, 0)]})
    path = written(folder, {"images": rows, "annotations": [box(1, 1, A), empty], "categories": []})
    found = evaluate_public(oracle, Place("grefcoco", path))
    assert (found.metrics["P@1"], found.metrics["N-acc"], found.metrics["T-acc"]) == (1, 1, 1)
    assert evaluate_public(oracle, Place("grefcoco", path), threshold=0.6).metrics["N-acc"] == 0
    one = written(folder, {"images": rows[:1], "annotations": [box(1, 1, A)], "categories": []}, "refcoco_val.json")
    assert evaluate_public(oracle, Place("refcoco", one)).metrics == {"P@1": 1, "P@5": 1, "P@10": 1}


def test_d3_asks_only_for_the_sentences_of_the_images_group(folder: Path) -> None:
    path = written(
        folder,
        {
            "images": [image(1), image(2, "b.png")],
            "annotations": [box(1, 1, A, 10), box(2, 2, B, 20)],
            "categories": [
                {"id": 10, "name": "a dog on a leash", "is_negative": False},
                {"id": 20, "name": "a dog without a leash", "is_negative": True},
            ],
            "groups": [
                {"id": 1, "inner_sent_id": [10], "img_id": [1]}, {"id": 2, "inner_sent_id": [20], "img_id": [2]},
            ],
        },
    )  # fmt: skip
    oracle = Lister({"a dog on a leash": [(A, 0.9, 0)], "a dog without a leash": [(A, 0.8, 0)]})
    found = evaluate_public(oracle, Place("d3", path))
    assert (found.metrics["FULL"], found.metrics["PRES"], found.metrics["ABS"]) == (0.5, 1, 0)


def test_d3_asks_for_sentences_one_by_one_where_that_is_wanted(folder: Path) -> None:
    sentences = [{"id": 10, "name": "a dog", "is_negative": 0}, {"id": 20, "name": "no dog", "is_negative": 1}]
    document = {
        "images": [image(1)], "annotations": [box(1, 1, A, 10), box(2, 1, B, 20)], "categories": sentences,
        "groups": [{"id": 1, "inner_sent_id": [10, 20], "img_id": [1]}],
    }  # fmt: skip
    asked: list[tuple[str, ...]] = []

    class Listening(Lister):
        def detect(
            self, images: Sequence[Picture], ontology: Ontology, *, threshold: float = 0.3, top_k: int = 300
        ) -> list[sv.Detections]:
            asked.append(tuple(ontology.names))
            return super().detect(images, ontology, threshold=threshold, top_k=top_k)

    place = Place("d3", written(folder, document))
    oracle = Listening({"a dog": [(A, 0.9, 0)], "no dog": []})
    found = evaluate_public(oracle, place)
    # absence may be written as 1 and 0: what is there is found, what is missing is not
    assert (found.metrics["PRES"], found.metrics["ABS"]) == (1, 0)
    assert evaluate_public(oracle, place, parallel=True).metrics == found.metrics
    assert asked == [("a dog", "no dog"), ("a dog",), ("no dog",)]


def test_a_word_for_absence_is_refused(folder: Path) -> None:
    document = {
        "images": [image(1)], "annotations": [], "categories": [{"id": 10, "name": "a dog", "is_negative": "no"}],
        "groups": [{"id": 1, "inner_sent_id": [10], "img_id": [1]}],
    }  # fmt: skip
    with pytest.raises(LayoutRefused, match=r"categories\[0\] has 'is_negative' 'no', not true or false"):
        read_public(Place("d3", written(folder, document)))


def test_a_file_without_images_is_refused_by_name(folder: Path) -> None:
    path = written(folder, {"images": [], "annotations": [], "categories": []})
    for layout in ("coco", "refcoco", "flickr"):
        with pytest.raises(LayoutRefused, match=r"annotations\.json"):
            evaluate_public(Lister({}), Place(layout, path))


def test_each_layout_stands_in_the_document() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "public-benchmarks.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    assert set(rows) == set(TASKS)
    for metric in COCO_METRICS:
        assert f"`{metric}`" in rows["coco"]
    for layout, metrics in (
        ("lvis", lvis_fixed_ap([], [], []).metrics),
        ("flickr", phrase_recall([], []).metrics),
        ("refcoco", referring_precision([], []).metrics),
        ("d3", described_ap([], [], []).metrics),
    ):
        assert [metric for metric in metrics if f"`{metric}`" not in rows[layout]] == []
