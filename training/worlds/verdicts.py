"""How right a detector is about a picture whose answer is known to the last box."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.boxes import iou

if TYPE_CHECKING:
    import supervision as sv

    from engine.detector import Detector

SAME_IOU = 0.5  # a box that overlaps the true one less is another


@dataclass(frozen=True, order=True)
class Verdict:
    """How right an answer is; the larger, the better.

    Attributes:
        faults: 0 or less: what was missed, and boxes that are no answer or the second for the same.
        least_score: of the boxes that were found.
    """

    faults: int
    least_score: float

    @property
    def is_right(self) -> bool:
        """Whether each answer was found once, and nothing else."""
        return self.faults == 0


def judged(detector: "Detector", image: NDArray[np.uint8], row: dict[str, Any]) -> Verdict:
    """What a detector's answer at its default threshold is worth.

    Args:
        detector: what is asked.
        image: (H, W, 3) uint8 RGB.
        row: of examples.json: "task", "prompt" and "answers".
    """
    names, found = _asked(detector, image, row["task"], row["prompt"])
    answers = row["answers"]
    if not len(found) or found.confidence is None:
        return Verdict(-len(answers), 0.0)
    truth = np.array([answer["xyxy"] for answer in answers], np.float32).reshape(-1, 4)
    overlaps = iou(truth, found.xyxy.astype(np.float32))  # (answers, found)
    same = np.array([[answer["name"] == name for name in names] for answer in answers])
    hits = int(((overlaps >= SAME_IOU) & same).any(axis=1).sum())
    return Verdict(2 * hits - len(answers) - len(found), float(found.confidence.min()))


def _asked(detector: "Detector", image: NDArray[np.uint8], task: str, prompt: str) -> tuple[list[str], "sv.Detections"]:
    """What the detector finds at its default threshold, each with its name."""
    if task == "refer":
        (found,) = detector.refer([image], [prompt])
        return [prompt] * len(found), found
    if task == "ground":
        (found,) = detector.ground([image], [prompt])
    else:
        from engine.ontology import Ontology

        (found,) = detector.detect([image], Ontology.from_prompt(prompt))
    from engine.doubles import without_doubles

    single = without_doubles(found)
    return [str(name) for name in single.data.get("class_name", [])], single
