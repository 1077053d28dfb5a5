"""`bench vocabulary`: one picture asked for 1,203 names, as many as LVIS has, which takes several prompts.

The names are all concepts of rendered scenes, of which a scene shows a few, and distractors made of words that the
detector reads in one piece and that name no concept. Names of different prompts never stood against each other, so
"plain" puts the prompts' answers together as they are, "second_pass" asks once more for what was found (see
`GroundingDetector.detect`), and "present" asks for the names on the picture alone, which nobody knows beforehand: what
there is to win. AP50 and AP are means over names, every picture counting for every name, of all boxes ("AP50") or of
those that people are shown ("AP50_as_shown"); "AP50_pooled" is of the latter as if all names were one, so that boxes
with wrong names stand before right ones. "found" is the part of all things with a right box from `threshold` on,
"wrong" the boxes from there on an image that are right of none, each as shown. Some ways score higher than others:
"wrong_where_60_found" counts from each way's own threshold at which six of ten things are found.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.benchmarks.full_size import names_of
from engine.checkpoints import load_grounding_detector
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from training.benchmarks import questions
from training.benchmarks.questions import Question
from training.benchmarks.starter import Answer, as_shown, counted, federated, pooled
from training.metrics.coco import Predictions, predictions_of
from training.worlds.concepts import CONCEPTS

NAMES = 1203

_LOWEST = 0.05  # score of boxes that are kept at all, as the page keeps them
_TOP_K = 300
_ENDINGS = (("", "s"), ("", "es"), ("y", "ies"))  # of plurals

Say = Callable[[str], None]


@dataclass(frozen=True)
class VocabularyBenchmark:
    """What is measured.

    Attributes:
        detector: "starter", a checkpoint folder or a hub id.
        seed: of scenes and distractors.
        images: scenes.
        threshold: from which score on a box is shown to a person who has set none.
    """

    detector: str | Path = "starter"
    seed: int = 0
    images: int = 100
    threshold: float = 0.4


def run(benchmark: VocabularyBenchmark, say: Say) -> dict[str, Any]:
    """The document of `bench vocabulary --json`.

    Raises:
        WeightsMissing, CheckpointRefused: the detector can't be loaded.
        FontMissing: scenes can't be drawn.
    """
    return measure(load_grounding_detector(benchmark.detector), benchmark, say)


def measure(detector: GroundingDetector, benchmark: VocabularyBenchmark, say: Say) -> dict[str, Any]:
    """Each way to ask: "plain", "second_pass" and "present"."""
    names = vocabulary(detector, benchmark.seed)
    asked = list(questions.by_vocabulary(benchmark.seed, benchmark.images, names))
    document: dict[str, Any] = {}
    for way, ask in (("plain", _plain), ("second_pass", _second_pass), ("present", _present)):
        started = time.perf_counter()
        given = [Answer(question.names, question.labels, ask(detector, question)) for question in asked]
        seconds = (time.perf_counter() - started) / len(asked)
        document[way] = _numbers(given, benchmark.threshold) | {"seconds": round(seconds, 2)}
        say(f"{way}: {document[way]}")
    return document | {
        "names": len(names),
        "threshold": benchmark.threshold,
        "images": benchmark.images,
        "seed": benchmark.seed,
    }


def vocabulary(detector: GroundingDetector, seed: int) -> tuple[str, ...]:
    """All concepts by their own names, then distractors."""
    own = {
        word
        for concept in CONCEPTS
        for said in (concept.name, concept.noun, concept.plural, concept.unseen, *concept.synonyms)
        for word in said.lower().split()
    }
    plurals = {word.removesuffix(end) + more for word in own for end, more in _ENDINGS if word.endswith(end)}
    read = {word for word in detector.tokenizer.get_vocab() if word.isalpha() and len(word) > 2}
    distractors = names_of(sorted(read - own - plurals), NAMES - len(CONCEPTS), seed)
    return (*(concept.name for concept in CONCEPTS), *distractors)


def _plain(detector: GroundingDetector, question: Question) -> Predictions:
    return _answer(detector, question, question.names)


def _second_pass(detector: GroundingDetector, question: Question) -> Predictions:
    return _answer(detector, question, question.names, second_pass=True)


def _present(detector: GroundingDetector, question: Question) -> Predictions:
    there = np.unique(question.labels.classes)
    if not len(there):
        return Predictions(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))
    found = _answer(detector, question, [question.names[place] for place in there.tolist()])
    return replace(found, classes=there[found.classes])


def _answer(
    detector: GroundingDetector, question: Question, names: Sequence[str], second_pass: bool = False
) -> Predictions:
    ontology = Ontology.from_names(names)
    (found,) = detector.detect([question.image], ontology, threshold=_LOWEST, top_k=_TOP_K, second_pass=second_pass)
    return predictions_of(found)


def _numbers(given: list[Answer], threshold: float) -> dict[str, float | None]:
    every, shown = federated(given).metrics, as_shown(given)
    of_shown = federated(shown).metrics
    right, boxes, there = counted(shown, threshold)
    found = {
        "AP50": every["AP50"],
        "AP": every["AP"],
        "AP50_as_shown": of_shown["AP50"],
        "AP_as_shown": of_shown["AP"],
        "AP50_pooled": pooled(shown),
        "found": right / there,
        "wrong": (boxes - right) / len(given),
        "wrong_where_60_found": _wrong_where_found(shown, 0.6),
    }
    return {name: None if value is None else round(value, 3) for name, value in found.items()}


def _wrong_where_found(given: list[Answer], part: float) -> float | None:
    """Wrong boxes an image from the highest threshold on that finds so much of all things; None: no threshold does."""
    for threshold in np.arange(0.95, _LOWEST, -0.01).tolist():
        right, boxes, there = counted(given, threshold)
        if right >= part * there:
            return (boxes - right) / len(given)
    return None
