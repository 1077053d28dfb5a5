"""Whole runs over small files: reader, questions and metric together, with a detector that knows the pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from PIL import Image

from common.images import ImageRefused
from engine.detector import Caption
from engine.ontology import Ontology
from engine.preprocessing import Picture
from tests.training.metrics.readers.layouts import D3, D3_GROUPS, Json, write
from training.errors import LayoutRefused
from training.metrics.benchmarks import (
    asking,
    evaluate_coco,
    evaluate_described,
    evaluate_lvis,
    evaluate_odinw,
    pictures_in,
    spoken,
)
from training.metrics.readers import DetectionSet, read_coco, read_d3, read_lvis, read_odinw

Box = Sequence[float]


class Knowing:
    """A detector that knows the box of each phrase, and keeps what it was asked."""

    name = "knowing"
    device = "cpu"

    def __init__(self, boxes: Mapping[str, Box]) -> None:
        self.boxes = boxes
        self.asked: list[tuple[str, ...]] = []
        self.pictures: list[int] = []

    def detect(
        self, images: Sequence[Picture], ontology: Ontology, *, threshold: float = 0.3, top_k: int = 300
    ) -> list[sv.Detections]:
        assert (threshold, top_k) == (0.0, 300)
        self.asked.append(ontology.names)
        self.pictures.append(len(images))
        return [self._found(ontology) for _ in images]

    def _found(self, ontology: Ontology) -> sv.Detections:
        known = [(place, self.boxes[name]) for place, name in enumerate(ontology.names) if name in self.boxes]
        return sv.Detections(
            xyxy=np.array([box for _, box in known], np.float32).reshape(-1, 4),
            confidence=np.full(len(known), 0.5, np.float32),
            class_id=np.array([place for place, _ in known], int),
        )

    def ground(
        self, images: Sequence[Picture], captions: Sequence[str | Caption], *, threshold: float = 0.3, top_k: int = 300
    ) -> list[sv.Detections]:
        raise NotImplementedError

    def refer(
        self, images: Sequence[Picture], expressions: Sequence[str], *, threshold: float = 0.3, top_k: int = 1
    ) -> list[sv.Detections]:
        raise NotImplementedError


def picture(path: Path, width: int = 100, height: int = 80) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)


def coco(*boxes: Box, names: Sequence[str] = ("traffic_light", "cat")) -> Json:
    """One image, a box of each category in turn."""
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": [{"image_id": 1, "category_id": place, "bbox": box} for place, box in enumerate(boxes)],
        "categories": [{"id": place, "name": name} for place, name in enumerate(names)],
    }


def test_a_name_is_asked_for_as_words() -> None:
    assert spoken("bow_(weapon)") == "bow"
    assert spoken("fire_hydrant") == "fire hydrant"
    assert spoken("cat") == "cat"
    assert spoken("(x)") == "(x)"  # nothing would be left


def test_names_that_read_alike_are_asked_for_once_and_all_get_the_answer() -> None:
    detector = Knowing({"bow": [0, 0, 10, 10], "cat": [5, 5, 9, 9]})
    (found,) = asking(detector, ["bow_(weapon)", "cat", "Bow_(ribbon)"])([np.zeros((80, 100, 3), np.uint8)])
    assert detector.asked == [("bow", "cat")]
    assert sorted(found.classes.tolist()) == [0, 1, 2]
    assert found.boxes_xyxy[found.classes == 0].tolist() == found.boxes_xyxy[found.classes == 2].tolist()


def test_coco_is_scored_whole(tmp_path: Path) -> None:
    picture(tmp_path / "val/a.png")
    dataset = read_coco(write(tmp_path / "instances.json", coco([0, 0, 10, 10], [20, 0, 10, 10])))
    detector = Knowing({"traffic light": [0, 0, 10, 10]})  # the cat is missed
    done: list[tuple[int, int]] = []
    found = evaluate_coco(detector, dataset, pictures_in(tmp_path / "val"), progress=lambda *step: done.append(step))
    assert found.metrics["AP"] == 0.5
    assert found.per_category["traffic_light"]["AP"] == 1.0
    assert done == [(1, 1)]


def test_images_go_together_where_they_are_asked_the_same(tmp_path: Path) -> None:
    document = coco([0, 0, 10, 10])
    document["images"] = [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 80} for i in range(1, 6)]
    for number in range(1, 6):
        picture(tmp_path / f"{number}.png")
    dataset = read_coco(write(tmp_path / "a.json", document))
    detector = Knowing({})
    assert evaluate_coco(detector, dataset, pictures_in(tmp_path), batch_size=2).metrics["AP"] == 0.0
    assert detector.pictures == [2, 2, 1]


def test_odinw_is_the_mean_over_sets(tmp_path: Path) -> None:
    for name, box in (("pothole", [0, 0, 10, 10]), ("Raccoon/v1.coco", [50, 50, 10, 10])):
        picture(tmp_path / name / "valid/a.png")
        write(tmp_path / name / "valid/annotations_without_background.json", coco(box, names=["thing"]))
    found = evaluate_odinw(Knowing({"thing": [0, 0, 10, 10]}), read_odinw(tmp_path))
    assert found.metrics["AP"] == 0.5
    assert {name: row["AP"] for name, row in found.per_category.items()} == {"pothole": 1.0, "Raccoon": 0.0}
    alone = evaluate_odinw(Knowing({"thing": [0, 0, 10, 10]}), read_odinw(tmp_path, thirteen=True))
    assert alone.metrics["AP"] == 0.5  # both are of the thirteen


def test_lvis_is_asked_for_in_prompts_of_some_names(tmp_path: Path) -> None:
    picture(tmp_path / "000000000005.png")
    names = [f"thing_{number}" for number in range(5)]
    document: dict[str, Any] = {
        "images": [
            {
                "id": 5,
                "coco_url": "http://images.cocodataset.org/val2017/000000000005.png",
                "width": 100,
                "height": 80,
                "neg_category_ids": [1],
                "not_exhaustive_category_ids": [],
            }
        ],
        "annotations": [{"image_id": 5, "category_id": place, "bbox": [0, 0, 10, 10]} for place in (0, 4)],
        "categories": [{"id": i, "name": name, "frequency": "rccff"[i]} for i, name in enumerate(names)],
    }
    dataset = read_lvis(write(tmp_path / "lvis.json", document))
    detector = Knowing({"thing 0": [0, 0, 10, 10], "thing 1": [0, 0, 10, 10], "thing 2": [0, 0, 10, 10]})
    found = evaluate_lvis(detector, dataset, pictures_in(tmp_path), names_a_prompt=2)
    assert [len(names) for names in detector.asked] == [2, 2, 1]
    # thing 0 found, thing 4 missed; thing 1 is not there and thing 2 was not looked for: neither has an AP
    assert (found.metrics["AP"], found.metrics["APr"], found.metrics["APf"]) == (0.5, 1.0, 0.0)
    assert found.metrics["APc"] is None


def test_an_image_of_d3_is_asked_for_its_groups_sentences(tmp_path: Path) -> None:
    picture(tmp_path / "images/g1/a.jpg")
    picture(tmp_path / "images/g2/b.jpg")
    write(tmp_path / "groups.json", D3_GROUPS)
    dataset = read_d3(write(tmp_path / "d3_full_annotations.json", D3))
    boxes = {"a red hat": [0, 0, 10, 10], "a dog without a leash": [40, 0, 50, 10], "a man on a horse": [0, 0, 5, 5]}
    together, apart = Knowing(boxes), Knowing(boxes)
    found = evaluate_described(together, dataset, pictures_in(tmp_path / "images"))
    assert found.metrics["FULL"] == 1.0
    assert together.asked == [("a red hat",), ("a dog without a leash", "a man on a horse")]
    again = evaluate_described(apart, dataset, pictures_in(tmp_path / "images"), parallel=True)
    assert again.metrics == found.metrics
    assert [len(names) for names in apart.asked] == [1, 1, 1]


def test_an_image_whose_group_has_no_sentence_here_is_not_asked(tmp_path: Path) -> None:
    write(tmp_path / "groups.json", D3_GROUPS)
    only = D3 | {"annotations": [], "categories": D3["categories"][1:2]}
    picture(tmp_path / "g2/b.jpg")
    dataset = read_d3(write(tmp_path / "d3_abs_annotations.json", only))
    detector = Knowing({})
    assert evaluate_described(detector, dataset, pictures_in(tmp_path)).metrics["FULL"] is None
    assert detector.asked == [("a dog without a leash",)]


def test_a_picture_that_is_missing_or_of_another_size_is_refused(tmp_path: Path) -> None:
    dataset = read_coco(write(tmp_path / "a.json", coco([0, 0, 10, 10])))
    with pytest.raises(ImageRefused, match=r"There is no 'a.png' in .*: name the folder of the pictures"):
        evaluate_coco(Knowing({}), dataset, pictures_in(tmp_path))
    picture(tmp_path / "a.png", 80, 100)
    with pytest.raises(ImageRefused, match=r"'a.png' is 80 x 100 px but labelled at 100 x 80 px: take the picture"):
        evaluate_coco(Knowing({}), dataset, pictures_in(tmp_path))


def test_a_benchmark_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutRefused, match="has no image to look at"):
        evaluate_coco(Knowing({}), DetectionSet("none", ("cat",), ()), pictures_in(tmp_path))
    with pytest.raises(LayoutRefused, match="Nobody said where the pictures of 'none' are"):
        evaluate_odinw(Knowing({}), [DetectionSet("none", ("cat",), ())])
    with pytest.raises(LayoutRefused, match="There is no dataset to look at"):
        evaluate_odinw(Knowing({}), [])
