"""`bench starter`: what a starter does on scenes it can't have seen, in one document.

How the averages are made:

- AP and AP50 are COCO's, of each name apart and then the mean over the names that are shown at all. A scene counts for
  a name only if the name was in its prompt, as LVIS counts its federated labels. Names are dealt evenly: in 1200 scenes
  each of 542 is asked for about 35 times and shown about 10 times. With fewer scenes there are fewer false boxes to
  stand before a name's right ones, which flatters: one detector had 0.75 on 120 scenes and 0.55 on 400. So compare only
  numbers of equally many scenes, or "AP50_pooled": the same boxes as if all names were one, which does not depend on
  their number, and asks for the scores of different names to be in the right order, too.
- "unseen_AP50" is the mean over held-out compositions only, on scenes and with prompts full of their kin: the same
  noun in other colours, the same colour on other nouns. "kin_AP50" is the mean over that kin, which training shows.
- "large_AP50_pooled" is of scenes with one or two things that fill them, as photos have them, all names being one, and
  "large_found" the share of these things that a person is shown at the threshold.
- "ground_R1" asks for a caption of several phrases, any-box: the best box of a phrase lies on one of its things.
- "refer_P1" asks for one expression at a time, as `evaluate --task refer` does.
- "mask_iou" is the mean over the things of other scenes, the segmenter being told the true box of each.
- "AP50_as_shown" and "AP_as_shown" are of what people are shown, second boxes around one thing being left out
  (`engine.doubles`); all other averages see every box, as the published protocols do. "false_boxes_absent", the boxes
  at other thresholds and F1 count what is shown, too: at the threshold that the page starts with, or another.
"""

import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.boxes import iou
from engine.checkpoints import STARTER, load_grounding_detector
from engine.detector import Caption, Detector
from engine.hub import find_folder
from engine.ontology import Ontology
from engine.segmenters.loading import load_segmenter
from training.benchmarks import questions
from training.benchmarks.questions import Question
from training.metrics.coco import Evaluation, Labels, Predictions, coco_metrics, predictions_of, without_doubles
from training.metrics.lvis import FederatedCategory, FederatedLabels, lvis_fixed_ap
from training.metrics.phrases import PhraseLabels, phrase_recall
from training.metrics.referring import matched_pairs, referring_precision
from training.segmenter.measure import mask_iou
from training.worlds.concepts import CONCEPTS

THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

_TOP_K = 300  # pairs of box and name of a picture, the protocol of `evaluate`
_RIGHT = 0.5  # IoU from which on a box is right
# Pictures of these parts, of those with prompts by name.
_RENAMED, _COMPOSED, _LARGE, _IN_VAIN = 1 / 6, 1 / 6, 1 / 6, 1 / 4
_REFERRED, _CAPTIONED, _EVERY_NAME, _MASKED, _TIMED = 1 / 12, 1 / 12, 1 / 75, 1 / 20, 1 / 60
_EXPRESSIONS = 4  # of a scene
_POOLED = 50  # best boxes of a picture that count where all names are one
_NAMES_READ = 60  # at once by a detector that is asked for hundreds; only to guess the time
_WEAKEST = 12  # names told apart because they are found worst
_WARM_UP = 3  # pictures before the time is taken

Progress = Callable[[float, float], None]  # work done, work in all


@dataclass(frozen=True)
class StarterBenchmark:
    """What is measured.

    Attributes:
        detector: "starter", a checkpoint folder or a hub id.
        seed: of scenes and prompts.
        images: scenes with prompts by name; the other parts have a share of so many.
        threshold: from which score on a box is shown to a person who has set none.
        segmenter: what is told the boxes, as `load_segmenter` knows it.
    """

    detector: str | Path = "starter"
    seed: int = 0
    images: int = 1200
    threshold: float = 0.4
    segmenter: str | Path = "starter"

    def share(self, part: float) -> int:
        """So many pictures, at least one."""
        return max(round(self.images * part), 1)


@dataclass(frozen=True)
class Answer:
    """What was asked about a picture, what is right, and what the detector said; `classes` index `names`."""

    names: tuple[str, ...]
    labels: Labels
    found: Predictions


def run(benchmark: StarterBenchmark, progress: Progress) -> dict[str, Any]:
    """The document of `bench starter --json`.

    Raises:
        WeightsMissing, CheckpointRefused: the detector or the segmenter can't be loaded.
        FontMissing: scenes can't be drawn.
    """
    folder = STARTER if benchmark.detector == "starter" else find_folder(benchmark.detector)
    detector, segmenter = load_grounding_detector(benchmark.detector), load_segmenter(benchmark.segmenter)
    document = measure(detector, benchmark, progress)
    overlap = mask_iou(segmenter, questions.STREAM + benchmark.seed, benchmark.share(_MASKED))
    document["mask_iou"] = _rounded(overlap)
    weights = sorted(folder.glob("*.safetensors"))
    document["parameters"] = sum(parameter.numel() for parameter in detector.model.parameters())
    document["bytes"] = sum(path.stat().st_size for path in weights)
    document["folder_bytes"] = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    document["working_size"] = [detector.preprocessing.shortest_edge, detector.preprocessing.longest_edge]
    return document


def measure(detector: Detector, benchmark: StarterBenchmark, progress: Progress) -> dict[str, Any]:
    """Everything that a detector answers, without what is known of its files."""
    seed, work = benchmark.seed, _Work(benchmark, progress)
    named = answers(detector, questions.by_name(seed, benchmark.images), work)
    renamed = answers(detector, questions.by_unseen_synonym(seed, benchmark.share(_RENAMED)), work)
    composed = answers(detector, questions.by_composition(seed, benchmark.share(_COMPOSED)), work)
    large = answers(detector, questions.by_name_of_large_things(seed, benchmark.share(_LARGE)), work)
    lowest = min(*THRESHOLDS, benchmark.threshold)
    vain = answers(detector, questions.in_vain(seed, benchmark.share(_IN_VAIN)), work, threshold=lowest)
    every = answers(detector, questions.by_every_name(seed, benchmark.share(_EVERY_NAME)), work, cost=_every_cost())
    referred = _refer(detector, seed, benchmark.share(_REFERRED), work)
    grounded = _ground(detector, seed, benchmark.share(_CAPTIONED), work)
    seconds = _seconds(detector, seed, benchmark, work)
    by_name = federated(named)
    compositions = _compositions(federated(composed), seed)
    shown, shown_in_vain = as_shown(named), as_shown(vain)
    of_shown = federated(shown).metrics
    large_found, _, large_there = counted(as_shown(large), benchmark.threshold)
    absent = {threshold: _boxes_an_image(shown_in_vain, threshold) for threshold in (*THRESHOLDS, benchmark.threshold)}
    document = {
        "AP50": by_name.metrics["AP50"],
        "AP": by_name.metrics["AP"],
        "unseen_AP50": compositions.pop("unseen_AP50"),
        "refer_P1": referred.metrics["P@1"],
        "mask_iou": None,
        "false_boxes_absent": absent[benchmark.threshold],
        "seconds_per_image": seconds,
        "parameters": None,
        "bytes": None,
        "AP75": by_name.metrics["AP75"],
        "AP50_as_shown": of_shown["AP50"],
        "AP_as_shown": of_shown["AP"],
        "AP50_pooled": pooled(named),
        "AP50_every_name_pooled": pooled(every),
        "large_AP50_pooled": pooled(large),
        "large_found": large_found / max(large_there, 1),
        "unseen_synonym_AP50": federated(renamed).metrics["AP50"],
        **compositions,
        "refer": {name: row["P@1"] for name, row in sorted(referred.per_category.items())},
        "refer_P5": referred.metrics["P@5"],
        "ground_R1": grounded.metrics["R@1"],
        "ground_R10": grounded.metrics["R@10"],
        "name_accuracy": _name_accuracy(named),
        "name_accuracy_every_name": _name_accuracy(every),
        "threshold": benchmark.threshold,
        "false_boxes": {f"{threshold:g}": absent[threshold] for threshold in THRESHOLDS},
        "f1": {f"{threshold:g}": f1(shown, threshold) for threshold in THRESHOLDS},
        "weakest": _weakest(by_name),
        "counts": {
            "concepts": len(CONCEPTS),
            "shown": sum(row["annotations"] != 0 for row in by_name.per_category.values()),
            "images": len(named),
            "boxes": sum(len(answer.labels.classes) for answer in named),
            "expressions": referred.images,
            "captions": grounded.images,
            "images_in_vain": len(vain),
        },
        "seed": seed,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "device": detector.device,
            "threads": torch.get_num_threads(),
        },
        "seconds": work.seconds,
    }
    return {key: _rounded(value) for key, value in document.items()}


def answers(
    detector: Detector,
    asked: Iterable[Question],
    work: "_Work | None" = None,
    *,
    threshold: float = 0.0,
    cost: float = 1.0,
) -> list[Answer]:
    """What a detector says to each question, one picture at a time."""
    result = []
    for question in asked:
        (found,) = detector.detect(
            [question.image], Ontology.from_names(question.names), threshold=threshold, top_k=_TOP_K
        )
        result.append(Answer(question.names, question.labels, predictions_of(found)))
        if work is not None:
            work.done(cost)
    return result


def federated(given: Sequence[Answer]) -> Evaluation:
    """The mean over names, an image counting only for the names of its prompt; see the module's docstring."""
    names = sorted({name for answer in given for name in answer.names})
    number = {name: index for index, name in enumerate(names)}
    labels, predictions = [], []
    for answer in given:
        asked = np.array([number[name] for name in answer.names], np.int64)
        classes = asked[answer.labels.classes]
        absent = frozenset(asked.tolist()) - frozenset(classes.tolist())
        labels.append(FederatedLabels(Labels(answer.labels.boxes_xyxy, classes), absent))
        found = answer.found
        predictions.append(Predictions(found.boxes_xyxy, asked[found.classes], found.scores))
    return lvis_fixed_ap(labels, predictions, [FederatedCategory(name, "c") for name in names])


class _Work:
    """How much is done; a picture with one prompt counts as one."""

    def __init__(self, benchmark: StarterBenchmark, progress: Progress) -> None:
        speed = _WARM_UP + _timed(benchmark)
        refer = _EXPRESSIONS * benchmark.share(_REFERRED)
        one_prompt = sum(benchmark.share(part) for part in (1, _RENAMED, _COMPOSED, _LARGE, _IN_VAIN, _CAPTIONED))
        self._total = one_prompt + refer + speed + _every_cost() * benchmark.share(_EVERY_NAME)
        self._progress, self._sum, self._started = progress, 0.0, time.monotonic()

    def done(self, cost: float = 1.0) -> None:
        """So much more."""
        self._sum = min(self._sum + cost, self._total)
        self._progress(self._sum, self._total)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._started


def _every_cost() -> float:
    return len(CONCEPTS) / _NAMES_READ


def _timed(benchmark: StarterBenchmark) -> int:
    return benchmark.share(_TIMED)


def _refer(detector: Detector, seed: int, count: int, work: _Work) -> Evaluation:
    targets: list[NDArray[np.float32]] = []
    found: list[Predictions] = []
    kinds: list[str] = []
    for image, expressions in questions.referring(seed, count, _EXPRESSIONS):
        for one in expressions:
            (detections,) = detector.refer([image], [one.text], threshold=0.0, top_k=5)
            found.append(predictions_of(detections))
            targets.append(one.box_xyxy)
            kinds.append(one.kind)
            work.done()
    return referring_precision(targets, found, kinds)


def _ground(detector: Detector, seed: int, count: int, work: _Work) -> Evaluation:
    labels: list[PhraseLabels] = []
    found: list[Predictions] = []
    for image, caption in questions.captioned(seed, count):
        owned = [(span, phrase) for phrase, own in enumerate(caption.phrases) for span in own.spans]
        asked = Caption(caption.text, tuple(span for span, _ in owned), tuple(phrase for _, phrase in owned))
        (detections,) = detector.ground([image], [asked], threshold=0.0, top_k=_TOP_K)
        labels.append(PhraseLabels(tuple(phrase.boxes_xyxy for phrase in caption.phrases)))
        found.append(predictions_of(detections))
        work.done()
    return phrase_recall(labels, found)


def _seconds(detector: Detector, seed: int, benchmark: StarterBenchmark, work: _Work) -> float:
    """Median from pixels of 480 x 360 to the boxes of 16 names."""
    times = []
    for question in questions.of_one_size(seed, _WARM_UP + _timed(benchmark)):
        ontology = Ontology.from_names(question.names)
        started = time.perf_counter()
        detector.detect([question.image], ontology, threshold=benchmark.threshold)
        times.append(time.perf_counter() - started)
        work.done()
    return statistics.median(times[_WARM_UP:])


def _compositions(found: Evaluation, seed: int) -> dict[str, float | None]:
    """Means over the held-out compositions, together and by kind, and over those that training shows."""
    kinds = {said.singular: kind for said, kind in questions.held_out_names(seed).items()}
    rows = {name: row["AP50"] for name, row in found.per_category.items() if row["AP50"] is not None}
    seen = [value for name, value in rows.items() if not questions.is_held_out(name)]
    means: dict[str, float | None] = {"unseen_AP50": _mean([rows[name] for name in kinds if name in rows])}
    for kind in dict.fromkeys(kinds.values()):
        means[f"unseen_{kind}_AP50"] = _mean([rows[name] for name in kinds if kinds[name] == kind and name in rows])
    return means | {"kin_AP50": _mean(seen)}


def pooled(given: Sequence[Answer]) -> float | None:
    """AP50 of all pairs of picture and name as if they asked for one thing."""
    labels, predictions = [], []
    for answer in given:
        best = np.argsort(-answer.found.scores, kind="stable")[:_POOLED]
        boxes, classes, scores = answer.found.boxes_xyxy[best], answer.found.classes[best], answer.found.scores[best]
        for place in np.union1d(answer.labels.classes, classes).tolist():  # pairs without any box change nothing
            there, own = answer.labels.boxes_xyxy[answer.labels.classes == place], classes == place
            labels.append(Labels(there, np.zeros(len(there), np.int64)))
            predictions.append(Predictions(boxes[own], np.zeros(int(own.sum()), np.int64), scores[own]))
    return coco_metrics(labels, predictions, ["it"]).metrics["AP50"]


def _name_accuracy(given: Sequence[Answer]) -> float | None:
    """The share of things whose best box, of any name, has the right one; a thing without a box is missed."""
    right: list[float] = []
    for answer in given:
        overlaps = iou(answer.labels.boxes_xyxy, answer.found.boxes_xyxy) >= _RIGHT  # (N, M)
        for near, wanted in zip(overlaps, answer.labels.classes, strict=True):
            rows = np.flatnonzero(near)
            best = rows[answer.found.scores[rows].argmax()] if len(rows) else None
            right.append(best is not None and answer.found.classes[best] == wanted)
    return _mean(right)


def as_shown(given: Sequence[Answer]) -> list[Answer]:
    """The same without second boxes around one thing."""
    return [replace(answer, found=without_doubles(answer.found)) for answer in given]


def _boxes_an_image(given: Sequence[Answer], threshold: float) -> float | None:
    return _mean([float((answer.found.scores >= np.float32(threshold)).sum()) for answer in given])


def f1(given: Sequence[Answer], threshold: float) -> float:
    """Of all boxes from `threshold` on against all labels, at IoU 0.5."""
    right, shown, there = counted(given, threshold)
    return 2 * right / max(shown + there, 1)


def counted(given: Sequence[Answer], threshold: float) -> tuple[int, int, int]:
    """Boxes from `threshold` on that are right at IoU 0.5, all boxes from there on, and labels."""
    right = shown = there = 0
    for answer in given:
        kept = answer.found.scores >= np.float32(threshold)
        overlaps = iou(answer.found.boxes_xyxy[kept], answer.labels.boxes_xyxy)
        same = answer.found.classes[kept][:, None] == answer.labels.classes[None]
        right += matched_pairs(np.where(same, overlaps, 0).astype(np.float32), _RIGHT)
        shown, there = shown + int(kept.sum()), there + len(answer.labels.classes)
    return right, shown, there


def _weakest(found: Evaluation) -> dict[str, Any]:
    rows = [(row["AP50"], name) for name, row in found.per_category.items() if row["AP50"] is not None]
    return {name: round(float(value or 0), 3) for value, name in sorted(rows)[:_WEAKEST]}


def _mean(values: Sequence[Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value
