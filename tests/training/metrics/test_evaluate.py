from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import supervision as sv

from annotations.queries import LabelledImage
from common.images import ImageRefused
from engine.detector import Caption
from engine.ontology import Ontology
from engine.preprocessing import Picture
from tests.training.coloured_squares import COLOURS, ONTOLOGY, squares
from training.metrics.coco import evaluate_detector


class SquareFinder:
    """A detector that knows the test's own squares: around all pixels of a colour it draws a box."""

    name = "square finder"
    device = "cpu"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def detect(
        self, images: Sequence[Picture], ontology: Ontology, *, threshold: float = 0.3, top_k: int = 300
    ) -> list[sv.Detections]:
        assert threshold == 0
        self.calls.append(len(images))
        return [self._find(image) for image in images]

    def _find(self, image: Picture) -> sv.Detections:
        boxes, classes = [], []
        for class_id, color in enumerate(COLOURS):
            ys, xs = np.nonzero((image == color).all(-1))
            if len(ys):
                boxes.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
                classes.append(class_id)
        return sv.Detections(
            xyxy=np.array(boxes, np.float32).reshape(-1, 4),
            confidence=np.ones(len(boxes), np.float32),
            class_id=np.array(classes, int),
        )

    def ground(
        self, images: Sequence[Picture], captions: Sequence[str | Caption], *, threshold: float = 0.3, top_k: int = 300
    ) -> list[sv.Detections]:
        raise NotImplementedError

    def refer(
        self, images: Sequence[Picture], expressions: Sequence[str], *, threshold: float = 0.3, top_k: int = 1
    ) -> list[sv.Detections]:
        raise NotImplementedError


@pytest.fixture
def images(tmp_path: Path) -> list[LabelledImage]:
    return [image for image in squares(tmp_path, 9) if len(image.boxes_xyxy) == 1]


def test_a_detector_that_finds_everything_scores_one(images: list[LabelledImage]) -> None:
    done: list[tuple[int, int]] = []
    detector = SquareFinder()
    found = evaluate_detector(
        detector, images, ONTOLOGY, batch_size=2, progress=lambda count, total: done.append((count, total))
    )
    assert found.metrics["AP"] == 1.0
    assert set(found.per_category) == {"blue ball", "red car"}
    assert detector.calls == [2, 2, 1]
    assert done == [(2, 5), (4, 5), (5, 5)]


def test_ids_of_the_database_are_translated(images: list[LabelledImage]) -> None:
    stored = [replace(image, category_ids=image.category_ids + 41) for image in images]
    assert evaluate_detector(SquareFinder(), stored, ONTOLOGY, category_ids=(41, 42)).metrics["AP"] == 1.0
    assert evaluate_detector(SquareFinder(), stored, ONTOLOGY, category_ids=(42, 41)).metrics["AP"] == 0.0


def test_labels_of_categories_that_were_not_asked_for_are_left_out(images: list[LabelledImage]) -> None:
    only_blue = Ontology.from_names(["blue ball"])
    found = evaluate_detector(SquareFinder(), images, only_blue, category_ids=(0,))
    assert found.per_category["blue ball"]["annotations"] == sum(int((i.category_ids == 0).sum()) for i in images)


def test_an_image_that_is_gone_is_refused(images: list[LabelledImage]) -> None:
    Path(images[0].path).unlink()
    with pytest.raises(ImageRefused):
        evaluate_detector(SquareFinder(), images, ONTOLOGY)
