"""What a detector is sure of on images nobody taught it, kept before it learns so that it can be repeated."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from sqlalchemy.orm import Session

from annotations.queries import LabelledImage, categories
from annotations.spare import SpareImage, spare_images
from common.images import ImageRefused, read_indexed
from common.publish import published_file
from engine.errors import PromptError
from engine.grounding import GroundingDetector
from engine.ontology import Category, Ontology
from engine.prompts import MAX_TOKENS, pack
from training.config import TrainConfig
from training.material import Material
from training.phrases import asked_phrases
from training.sources import Source
from training.vocabulary import PromptSampler

PROBED = 32  # most images that forgetting is measured on
NMS_IOU = 0.5

_MOST_NAMES = 80  # asked for on one image, so that a dataset of a thousand categories costs no more than COCO

# What is asked for on images that come without names: things that are often in photos.
EVERYDAY_NAMES = (
    "person", "face", "hand", "dog", "cat", "bird", "horse", "cow", "sheep", "fish", "bicycle", "car", "motorcycle",
    "bus", "truck", "train", "boat", "airplane", "traffic light", "street sign", "building", "house", "window", "door",
    "bench", "chair", "table", "sofa", "bed", "lamp", "clock", "plant", "flower", "tree", "book", "bottle", "cup",
    "bowl", "plate", "knife", "fork", "spoon", "banana", "apple", "orange", "bread", "cake", "pizza", "phone",
    "laptop", "keyboard", "computer mouse", "television", "camera", "bag", "hat", "shoe", "glasses", "umbrella",
    "ball",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """An image and what the detector is asked for on it: indices into the memory's ontology."""

    image: SpareImage
    names: tuple[int, ...]


@dataclass(frozen=True)
class Pool:
    """Everything the detector could be asked.

    Attributes:
        ontology: all names, one phrase each; None: there are none.
        questions: one an image.
    """

    ontology: Ontology | None
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Recalled:
    """What the base detector is sure of on one image, as labels; `names` it was asked for."""

    image: LabelledImage
    names: tuple[int, ...]


@dataclass(frozen=True)
class Memory:
    """What the base detector knew: its answers, never a person's labels.

    Attributes:
        ontology: the names that were asked for; None: none were.
        replayed: images to repeat while learning.
        probe: other images, on which forgetting is measured.
    """

    ontology: Ontology | None = None
    replayed: tuple[Recalled, ...] = ()
    probe: tuple[Recalled, ...] = ()


def pool_of(session: Session, material: Material, detector: GroundingDetector, seed: int) -> Pool:
    """The spare images of the workspace, each with the names to ask for.

    An image of another dataset is asked for that dataset's categories, by the first phrase of each; one without names
    for everyday things. What the dataset itself teaches is never asked for: there the detector shall change.
    """
    taught = {text for category in material.categories for text in (category.name.lower(), *category.phrases)}
    readable = _Readable(detector, taught)
    images = spare_images(session, material.id)
    found: dict[str, int] = {}
    of_dataset: dict[int, tuple[int, ...]] = {}
    for other in dict.fromkeys(image.dataset_id for image in images):
        own = [] if other == material.id else _names_of(session, other)
        names = _at_most(readable(own) or readable(EVERYDAY_NAMES), seed)
        of_dataset[other] = tuple(found.setdefault(name, len(found)) for name in names)
    questions = tuple(Question(i, of_dataset[i.dataset_id]) for i in images if of_dataset[i.dataset_id])
    return Pool(Ontology.from_names(found) if found else None, questions)


def remember(
    detector: GroundingDetector, pool: Pool, config: TrainConfig, stop: Callable[[], bool] = lambda: False
) -> Memory:
    """Ask the detector, as it is now, about images drawn by the seed.

    A box counts as known from `replay_threshold` on, after suppression of overlaps; a name whose best box scores
    below half of that counts as absent; what lies between is neither. Images without a known box are left out, and
    so are those whose file can't be read.

    Args:
        stop: asked before each image; when true, the rest is left out.
    """
    order = np.random.default_rng([config.seed, 6]).permutation(len(pool.questions)).tolist()
    most_probed = min(PROBED, config.validate_images)
    probed = min(most_probed, len(order) // 4 if config.replay else len(order))
    repeated = config.replay_images if config.replay else 0
    if pool.ontology is None:
        return Memory()
    answers: list[list[Recalled]] = [[], []]
    for position, index in enumerate(order[: probed + repeated]):
        if stop():
            break
        answer = _asked(detector, pool.ontology, pool.questions[index], config.replay_threshold)
        if answer is not None:
            answers[position >= probed].append(answer)
    return Memory(pool.ontology, tuple(answers[1]), tuple(answers[0]))


def detect_names(
    detector: GroundingDetector, ontology: Ontology, recalled: Question | Recalled, threshold: float
) -> sv.Detections:
    """What the detector finds of an image's names, overlaps suppressed; `class_id` indexes into `ontology`.

    Raises:
        ImageRefused: the file is gone or another one.
    """
    image = recalled.image
    pixels = read_indexed(Path(image.path), image.width, image.height)
    asked = Ontology(tuple(ontology.categories[index] for index in recalled.names))
    (found,) = detector.detect([pixels], asked, threshold=threshold)
    found = found.with_nms(NMS_IOU)
    found.class_id = np.asarray(recalled.names)[_int64(found.class_id)]
    return found


def replay_source(memory: Memory, detector: GroundingDetector, config: TrainConfig, share: float) -> Source | None:
    """The images to repeat, `share` of each step; None where there are none.

    Their prompts hold names that the base was asked for and was sure about, one way or the other: never all names at
    once, whatever the mode of the dataset's own images.
    """
    images = [recalled.image for recalled in memory.replayed if Path(recalled.image.path).is_file()]
    if memory.ontology is None or not images:
        return None
    limits = token_limits(detector)
    prompts = PromptSampler(memory.ontology, detector.tokenizer, "vocabulary", config.negatives, *limits)
    return Source(images, prompts, share)


def notes_on(memory: Memory, config: TrainConfig) -> list[str]:
    """What a person should know: what is repeated, or why nothing is, and whether forgetting is measured."""
    notes = []
    if config.replay and not memory.replayed:
        notes.append(
            "Nothing is replayed: the workspace has no other images on which the detector is sure of anything. "
            "Import a dataset of everyday photos, or leave some images of this one unlabelled."
        )
    if config.replay and memory.replayed:
        boxes = sum(len(recalled.image.boxes_xyxy) for recalled in memory.replayed)
        where = f"{boxes} boxes on {len(memory.replayed)} other images"
        notes.append(f"Replayed: what the detector was sure of before, {where}.")
    if not memory.probe:
        notes.append("What the detector forgets is not measured: there are no other images it is sure of anything on.")
    return notes


def save_memory(memory: Memory, path: Path) -> None:
    """Write it as JSON, so that a resumed run repeats the same."""
    document = {
        "names": list(memory.ontology.names) if memory.ontology else [],
        "replayed": [_to_json(recalled) for recalled in memory.replayed],
        "probe": [_to_json(recalled) for recalled in memory.probe],
    }
    with published_file(path) as aside:
        aside.write_text(json.dumps(document), encoding="utf-8")


def load_memory(path: Path) -> Memory:
    """What `save_memory` wrote; nothing where it did not."""
    if not path.exists():
        return Memory()
    document = json.loads(path.read_text(encoding="utf-8"))
    return Memory(
        Ontology.from_names(document["names"]) if document["names"] else None,
        tuple(_from_json(facts) for facts in document["replayed"]),
        tuple(_from_json(facts) for facts in document["probe"]),
    )


class _Readable:
    """Which names this detector can be asked for: clean, not taught, each once."""

    def __init__(self, detector: GroundingDetector, taught: set[str]) -> None:
        self._detector, self._taught = detector, taught

    def __call__(self, names: Sequence[str]) -> list[str]:
        phrases: dict[str, None] = {}
        for name in names:
            try:
                category = Category(name)
                pack(Ontology((category,)), self._detector.tokenizer, *token_limits(self._detector))
            except PromptError:
                continue
            phrases[category.phrases[0]] = None
        return [phrase for phrase in phrases if phrase not in self._taught]


def token_limits(detector: GroundingDetector) -> tuple[int, int]:
    """The most tokens of a prompt, and of a phrase with its '.', that this detector reads."""
    most = min(MAX_TOKENS, int(detector.model.config.max_text_len))
    return most, min(most, int(detector.model.config.text_config.max_position_embeddings))


def _names_of(session: Session, dataset_id: int) -> list[str]:
    """How each category of a dataset is asked for, by its first phrase."""
    named = [(row.name, [phrase.text for phrase in row.phrases]) for row in categories(session, dataset_id)]
    return [phrases[0] for phrases in asked_phrases(named) if phrases]


def _at_most(names: list[str], seed: int) -> list[str]:
    if len(names) <= _MOST_NAMES:
        return names
    drawn = np.random.default_rng([seed, 7]).permutation(len(names))[:_MOST_NAMES]
    return [names[index] for index in sorted(drawn)]


def _asked(detector: GroundingDetector, ontology: Ontology, question: Question, threshold: float) -> Recalled | None:
    try:
        found = detect_names(detector, ontology, question, threshold / 2)
    except ImageRefused:
        return None
    scores = np.zeros(0) if found.confidence is None else found.confidence
    sure = found[scores >= threshold]
    if not isinstance(sure, sv.Detections) or not len(sure):
        return None
    image, count = question.image, len(sure)
    return Recalled(
        LabelledImage(
            id=image.id,
            path=image.path,
            file_name=Path(image.path).name,
            width=image.width,
            height=image.height,
            split=None,
            boxes_xyxy=sure.xyxy.astype(np.float32),
            category_ids=_int64(sure.class_id),
            rles=[None] * count,
            iscrowd=np.zeros(count, np.bool_),
            absent_ids=frozenset(question.names) - set(_int64(found.class_id).tolist()),
        ),
        question.names,
    )


def _int64(ids: Any) -> Any:
    return np.asarray([] if ids is None else ids, np.int64)


def _to_json(recalled: Recalled) -> dict[str, Any]:
    image = recalled.image
    return {
        "id": image.id,
        "path": image.path,
        "width": image.width,
        "height": image.height,
        "boxes_xyxy": image.boxes_xyxy.tolist(),
        "names": image.category_ids.tolist(),
        "absent": sorted(image.absent_ids),
        "asked": list(recalled.names),
    }


def _from_json(facts: Mapping[str, Any]) -> Recalled:
    count = len(facts["boxes_xyxy"])
    image = LabelledImage(
        id=facts["id"],
        path=facts["path"],
        file_name=Path(facts["path"]).name,
        width=facts["width"],
        height=facts["height"],
        split=None,
        boxes_xyxy=np.array(facts["boxes_xyxy"], np.float32).reshape(-1, 4),
        category_ids=np.array(facts["names"], np.int64),
        rles=[None] * count,
        iscrowd=np.zeros(count, np.bool_),
        absent_ids=frozenset(facts["absent"]),
    )
    return Recalled(image, tuple(facts["asked"]))
