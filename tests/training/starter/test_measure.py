"""The measurement of a starter, on detectors made by hand."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import supervision as sv

from engine.detector import Detector
from engine.ontology import Ontology
from tests.training.worlds.font import needs_font
from training.starter.measure import HELD_OUT_SEED, measure
from training.worlds import CONCEPTS, numbered_scene

pytestmark = needs_font

IMAGES, LONGEST_PX = 6, 160


class Knowing:
    """Finds exactly what a scene shows, with one score for all, and only what it is asked for."""

    name, device = "knowing", "cpu"

    def __init__(self, score: float) -> None:
        self.score = score
        scenes = [numbered_scene(HELD_OUT_SEED, index, longest_px=LONGEST_PX) for index in range(IMAGES)]
        self.scenes = {scene.image.tobytes(): scene for scene in scenes}

    def detect(self, images: Sequence[Any], ontology: Ontology, **_: Any) -> list[sv.Detections]:
        found = []
        for image in images:
            scene = self.scenes[image.tobytes()]
            names = [CONCEPTS[label].name for label in scene.labels]
            asked = [index for index, name in enumerate(names) if name in ontology.names]
            classes = np.array([ontology.names.index(names[index]) for index in asked], int)
            scores = np.full(len(asked), self.score, np.float32)
            found.append(sv.Detections(scene.boxes_xyxy[asked], confidence=scores, class_id=classes))
        return found


def test_a_detector_that_knows_all_scores_one() -> None:
    result = measure(cast(Detector, Knowing(0.42)), IMAGES, longest_px=LONGEST_PX)
    assert result.ap50 > 0.999
    assert result.ap > 0.999
    assert result.f1[0.4] == 1
    assert result.f1[0.45] == 0
    assert set(result.absent_boxes.values()) == {0.0}
