"""What a starter scores the things of each concept as, by every name: whom it takes for whom.

Command: `python -m training.starter.confusion` measures a checkpoint on rendered scenes, and writes
`lookalikes.tsv`. The table that comes along is that of the weights which the shipped ones went on from, on 800 scenes
(docs/log.md).
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.arguments import positive
from common.boxes import iou
from common.publish import published_file
from engine.checkpoints import load_detector
from engine.detector import Detector
from engine.errors import EngineError
from engine.ontology import Ontology
from training.metrics.coco import predictions_of
from training.starter.lookalikes import TABLE
from training.worlds.concepts import CONCEPTS
from training.worlds.scenes import Scene, render_scene, usual_size_hw
from training.worlds.sprites import FontMissing
from training.worlds.textures import Rng

KEPT = 8  # look-alikes of a concept
_STREAM = 77_310_642  # of scenes that neither training nor measurement shows
_CAST = 9  # concepts that a scene is drawn from
_PROMPTS = 7  # that all names are asked in
_RIGHT = 0.5  # IoU from which on a box lies on a thing
_LEAST = 0.03  # score
_TOP_K = 300


def measured(detector: Detector, scenes: int, seed: int = 0) -> NDArray[np.float64]:
    """(C, C) mean scores: what a thing of each concept (row) scores as each (column), where a box lies on it.

    Every concept is dealt about as often as any other; one that was never shown has a row of NaN.
    """
    total, shown = np.zeros((len(CONCEPTS), len(CONCEPTS))), np.zeros(len(CONCEPTS))
    for index in range(scenes):
        rng = np.random.default_rng((_STREAM, seed, index))
        cards = np.random.default_rng((_STREAM, seed, index * _CAST // len(CONCEPTS), 1)).permutation(len(CONCEPTS))
        cast = [int(cards[(index * _CAST + place) % len(CONCEPTS)]) for place in range(_CAST)]
        scene = render_scene(rng, usual_size_hw(rng, 480), cast)
        np.add.at(total, scene.labels, _scores(detector, scene, rng))
        np.add.at(shown, scene.labels, 1)
    return total / np.where(shown, shown, np.nan)[:, None]


def _scores(detector: Detector, scene: Scene, rng: Rng) -> NDArray[np.float64]:
    """(N, C) the best score of each name on each thing of a scene."""
    best = np.zeros((len(scene.labels), len(CONCEPTS)))
    for asked in np.array_split(rng.permutation(len(CONCEPTS)), _PROMPTS):
        names = Ontology.from_names([CONCEPTS[index].name for index in asked])
        found = predictions_of(detector.detect([scene.image], names, threshold=_LEAST, top_k=_TOP_K)[0])
        for row, near in enumerate(iou(scene.boxes_xyxy, found.boxes_xyxy) > _RIGHT):
            np.maximum.at(best[row], asked[found.classes[near]], found.scores[near])
    return best


def table_of(scores: NDArray[np.float64]) -> str:
    """A line for each concept, tabs between: its name, its score by it, and the names of its look-alikes.

    Only the name where it was never shown.
    """
    others = np.where(np.eye(len(scores), dtype=bool) | np.isnan(scores), 0, scores)
    best = np.argsort(-others, axis=1, kind="stable")[:, :KEPT]
    lines = []
    for number, (concept, row) in enumerate(zip(CONCEPTS, best.tolist(), strict=True)):
        own = "" if np.isnan(scores[number, number]) else f"{scores[number, number]:.2f}"
        alikes = " | ".join(CONCEPTS[index].name for index in row if others[number, index] > 0)
        lines.append(f"{concept.name}\t{own}\t{alikes}\n")
    return "".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table; 0 when done, 1 after a line on stderr that says what stands in the way."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.confusion", description=__doc__)
    parser.add_argument("--detector", default="starter", help="starter or a checkpoint folder")
    parser.add_argument("--scenes", type=positive, default=600)
    options = parser.parse_args(arguments)
    try:
        table = table_of(measured(load_detector(options.detector), options.scenes))
    except (EngineError, FontMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with published_file(TABLE) as aside:
        aside.write_text(table, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
