"""Measures a starter as a user meets it: `python -m training.starter.measure CHECKPOINT`."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from common.boxes import iou
from engine.checkpoints import load_detector
from engine.detector import Detector
from engine.ontology import Ontology
from training.metrics.coco import Labels, Predictions, coco_metrics
from training.worlds import CONCEPTS, Scene, numbered_scene

HELD_OUT_SEED = 7  # training draws its scenes from pairs of other numbers
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


@dataclass(frozen=True)
class Measurement:
    """What a detector does on held-out scenes.

    Attributes:
        ap50: average precision at IoU 0.5, every concept in the prompt.
        ap: mean over IoU 0.50 to 0.95.
        ms_per_image: from pixels to detections, one image at a time.
        f1: threshold -> F1 at IoU 0.5 and that score, every concept in the prompt.
        absent_boxes: threshold -> boxes per image when asked for 4 concepts that the scene does not show.
    """

    ap50: float
    ap: float
    ms_per_image: float
    f1: dict[float, float]
    absent_boxes: dict[float, float]


def measure(detector: Detector, count: int, seed: int = HELD_OUT_SEED, longest_px: int = 480) -> Measurement:
    """Run `detector` on scenes number 0 to `count` of `seed`.

    Raises:
        FontMissing: scenes cannot be drawn.
    """
    ontology = Ontology.from_names([concept.name for concept in CONCEPTS])
    labels, predictions, absent = [], [], []
    spent = 0.0
    for index, scene in enumerate(islice(_scenes(seed, longest_px), count)):
        started = time.perf_counter()
        (found,) = detector.detect([scene.image], ontology, threshold=0.0, top_k=300)
        spent += time.perf_counter() - started
        labels.append(Labels(scene.boxes_xyxy, scene.labels))
        assert found.class_id is not None
        assert found.confidence is not None
        predictions.append(
            Predictions(found.xyxy.astype(np.float32), found.class_id.astype(np.int64), found.confidence)
        )
        absent.append(_scores_when_absent(detector, scene, index))
    metrics = coco_metrics(labels, predictions, ontology.names).metrics
    return Measurement(
        ap50=metrics["AP50"] or 0.0,
        ap=metrics["AP"] or 0.0,
        ms_per_image=1000 * spent / count,
        f1={threshold: _f1(labels, predictions, threshold) for threshold in THRESHOLDS},
        absent_boxes={t: float(np.mean([(scores >= t).sum() for scores in absent])) for t in THRESHOLDS},
    )


def _scenes(seed: int, longest_px: int) -> Iterator[Scene]:
    index = 0
    while True:
        yield numbered_scene(seed, index, longest_px=longest_px)
        index += 1


def _scores_when_absent(
    detector: Detector, scene: Scene, index: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    missing = np.setdiff1d(np.arange(len(CONCEPTS)), scene.labels)
    asked = np.random.default_rng(index).permutation(missing)[:4].tolist()
    ontology = Ontology.from_names([CONCEPTS[concept].name for concept in asked])
    (found,) = detector.detect([scene.image], ontology, threshold=min(THRESHOLDS))
    return np.zeros(0, np.float32) if found.confidence is None else found.confidence


def _f1(labels: Sequence[Labels], predictions: Sequence[Predictions], threshold: float) -> float:
    right = wrong = missed = 0
    for truth, guess in zip(labels, predictions, strict=True):
        order = np.argsort(-guess.scores)
        order = order[guess.scores[order] >= threshold]
        overlap = iou(guess.boxes_xyxy[order], truth.boxes_xyxy)
        overlap = np.where(guess.classes[order][:, None] == truth.classes[None], overlap, 0.0)
        taken = np.zeros(len(truth.classes), bool)
        for row in overlap:
            best = int(np.argmax(np.where(taken, 0.0, row))) if len(taken) else 0
            if len(taken) and not taken[best] and row[best] >= 0.5:
                taken[best] = True
        right, wrong, missed = right + taken.sum(), wrong + len(order) - taken.sum(), missed + (~taken).sum()
    return float(2 * right / max(2 * right + wrong + missed, 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the measurement; 0 when done, 1 after a line on stderr that says what stands in the way."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.measure", description=__doc__)
    parser.add_argument("checkpoint", help="a folder, or a name that the engine knows")
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--longest", type=int, default=480, help="longer side of the largest scene in pixels")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        folder = Path(options.checkpoint)
        detector = load_detector(folder if folder.exists() else options.checkpoint, device="cpu")
        result = measure(detector, options.images, options.seed, options.longest)
    except Exception as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, value in asdict(result).items():
        print(name, value if isinstance(value, dict) else round(value, 4))
    return 0


if __name__ == "__main__":
    sys.exit(main())
