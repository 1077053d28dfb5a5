"""What a detector learns from and what it is measured by, made of a dataset and of what it knew before."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from annotations.captions import CaptionedImage
from annotations.queries import LabelledImage
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from training.captions import CaptionSampler
from training.config import TrainConfig
from training.data import BatchMaker, resized_to
from training.dataset import Splits, split_for_training
from training.errors import NothingToTrain
from training.material import Material
from training.measuring import evaluate_texts
from training.metrics.coco import Evaluation, evaluate_detector
from training.novel import hold_out_categories
from training.processes import Processes
from training.replay import Memory, replay_source, token_limits
from training.sources import Source, shares
from training.vocabulary import PromptSampler

_VALIDATION_BATCH = 8  # images read at once where a device can work on several

T = TypeVar("T", LabelledImage, CaptionedImage)


@dataclass(frozen=True)
class Lesson:
    """All that the training loop has to know of a dataset.

    Attributes:
        sources: where the images of a step come from.
        evaluate: scores the detector as it is when called.
        images: how many of the dataset's own are learnt from.
        notes: what a person should know of all this.
    """

    sources: tuple[Source, ...]
    evaluate: Callable[[], Evaluation]
    images: int
    notes: tuple[str, ...]

    def batches(self, detector: GroundingDetector, config: TrainConfig, processes: Processes) -> BatchMaker:
        """This process's part of each step, at the size the taught detector will work at."""
        own = detector.preprocessing
        size = resized_to(own, config.short_side_px) if config.short_side_px else own
        return BatchMaker(self.sources, size, config, rank=processes.rank, processes=processes.count)


def lesson_of(
    material: Material,
    memory: Memory,
    detector: GroundingDetector,
    config: TrainConfig,
    left_out: Sequence[int] = (),
) -> Lesson:
    """The lesson of a dataset.

    Args:
        material: the dataset.
        memory: what the detector knew, some of which is repeated.
        detector: to be taught; it is asked for nothing as yet.
        config: the settings.
        left_out: ids of images that can't be used.

    Raises:
        NothingToTrain: no annotation and no caption to learn from, or all files are gone.
        PromptError: the categories can't be asked for.
    """
    notes: list[str] = []
    boxes = _of_boxes(material, detector, config, left_out, notes)
    held_out = {image.id for image in boxes.splits.validation} - {i.id for i in boxes.splits.train} if boxes else set()
    unnamed = boxes.unnamed if boxes else ()
    texts = _of_texts(material, detector, config, left_out, held_out, unnamed, notes, alone=boxes is None)
    if boxes is None and texts is None:
        raise NothingToTrain(f"Dataset {material.name!r} has nothing to learn from. Label or caption some images.")
    part = shares(config, categories=boxes is not None, captions=texts is not None, replay=bool(memory.replayed))
    sources = [
        boxes and Source(boxes.splits.train, boxes.prompts, part.categories),
        texts and Source(texts.train, texts.sampler, part.captions),
        replay_source(memory, detector, config, part.replay),
    ]
    measures = [boxes and part.categories and boxes.evaluate, texts and texts.evaluate]
    evaluate = _together([measure for measure in measures if measure])
    images = (len(boxes.splits.train) if boxes else 0) + (len(texts.train) if texts else 0)
    return Lesson(tuple(source for source in sources if source), evaluate, images, tuple(notes))


def _together(measures: Sequence[Callable[[], Evaluation]]) -> Callable[[], Evaluation]:
    """One evaluation with the numbers of all; of equal names the first one's, unless it has none."""

    def evaluate() -> Evaluation:
        found = [measure() for measure in measures]
        metrics: dict[str, float | None] = {}
        for each in found:
            metrics |= {name: value for name, value in each.metrics.items() if metrics.get(name) is None}
        return replace(found[0], metrics=metrics)

    return evaluate


@dataclass(frozen=True)
class _Boxes:
    """The part of a lesson that is about categories."""

    splits: Splits
    prompts: PromptSampler
    evaluate: Callable[[], Evaluation]
    unnamed: tuple[str, ...]  # how held-out categories are called


@dataclass(frozen=True)
class _Texts:
    """The part of a lesson that is about captions and expressions."""

    train: list[CaptionedImage]
    sampler: CaptionSampler
    evaluate: Callable[[], Evaluation]


def _of_boxes(
    material: Material, detector: GroundingDetector, config: TrainConfig, left_out: Sequence[int], notes: list[str]
) -> _Boxes | None:
    if material.labels is None:
        return None
    try:
        splits = split_for_training(material.labels, config.hold_out, config.seed)
    except NothingToTrain:
        if material.captioned:
            return None
        raise
    splits = _usable(splits, left_out, notes)
    ontology = material.labels.ontology
    base, novel = hold_out_categories(ontology, config)
    if novel:
        notes.append(f"Held out and measured apart: {', '.join(ontology.names[index] for index in novel)}.")
    elif config.mode == "open":
        notes.append(f"No category is held out of {len(base)}, so nothing tells of new names. Set novel to choose one.")
    limits = token_limits(detector)
    prompts = PromptSampler(ontology, detector.tokenizer, config.mode, config.negatives, *limits, novel=novel)
    groups = {"base": base, "novel": novel} if novel else {}
    kept_out = [ontology.categories[index] for index in novel]
    unnamed = tuple({name for category in kept_out for name in (category.name, *category.phrases)})
    return _Boxes(splits, prompts, _box_evaluation(detector, splits, ontology, config, groups), unnamed)


def _box_evaluation(
    detector: GroundingDetector,
    splits: Splits,
    ontology: Ontology,
    config: TrainConfig,
    groups: Mapping[str, Sequence[int]],
) -> Callable[[], Evaluation]:
    images = _sample(splits.validation, config)
    batch_size = 1 if detector.device == "cpu" else _VALIDATION_BATCH

    def evaluate() -> Evaluation:
        found = evaluate_detector(detector, images, ontology, batch_size=batch_size)
        apart = {
            f"{measure}_{group}": _mean_of(found, measure, [ontology.names[index] for index in members])
            for group, members in groups.items()
            for measure in ("AP", "AP50")
        }
        return replace(found, metrics={**found.metrics, **apart})

    return evaluate


def _mean_of(found: Evaluation, measure: str, names: Sequence[str]) -> float | None:
    """The mean over some categories, as COCO has it over all: those without a label take no part."""
    values = [value for name in names if (value := found.per_category[name][measure]) is not None]
    return float(np.mean(values)) if values else None


def _of_texts(
    material: Material,
    detector: GroundingDetector,
    config: TrainConfig,
    left_out: Sequence[int],
    held_out: Collection[int],
    unnamed: Sequence[str],
    notes: list[str],
    *,
    alone: bool,
) -> _Texts | None:
    """None where there is no text to learn from, or the settings ask for none beside boxes."""
    if not material.captioned or not (alone or config.captions):
        return None
    sampler = CaptionSampler(detector.tokenizer, *token_limits(detector))
    there = [image for image in material.captioned if image.id not in left_out and Path(image.path).is_file()]
    learnt = [image for image in there if image.split in (None, "train") and image.id not in held_out]
    measured = [image for image in there if image.split == "val" or image.id in held_out]
    if alone and learnt and not measured:
        learnt, measured = _held_out(learnt, config, notes)
    learnt = _without_names(learnt, unnamed, notes)
    readable = sampler.readable(learnt)
    texts, left = (sum(len(image.captions) for image in images) for images in (learnt, readable))
    if texts > left:
        notes.append(f"{texts - left} of {texts} texts are longer than this detector reads and are left out.")
    if not readable:
        return None
    if not measured:
        notes.append(
            "No image to measure on has a text: texts are measured on images they are learnt from, so the numbers "
            "flatter."
        )
    images = [_two_texts(image, config.seed) for image in _sample(measured or readable, config)]
    return _Texts(readable, sampler, lambda: evaluate_texts(detector, images))


def _without_names(images: list[CaptionedImage], names: Sequence[str], notes: list[str]) -> list[CaptionedImage]:
    """The images with those of their texts that say none of the names, in the singular or with an "s"."""
    if not names:
        return images
    said = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})(?:e?s)?\b", re.IGNORECASE)
    kept = [replace(i, captions=tuple(text for text in i.captions if not said.search(text.text))) for i in images]
    gone = sum(len(image.captions) for image in images) - sum(len(image.captions) for image in kept)
    if gone:
        notes.append(f"{gone} texts name a held-out category and are left out.")
    return [image for image in kept if image.captions]


def _two_texts(image: CaptionedImage, seed: int) -> CaptionedImage:
    """The image with one of its captions and one of its expressions that mean one thing: each costs a forward pass."""
    rng = np.random.default_rng([seed, image.id])
    captions = [text for text in image.captions if text.kind == "caption"]
    meant = [
        text
        for text in image.captions
        if text.kind == "expression" and text.phrases and len(text.phrases[0].boxes_xyxy) == 1
    ]
    drawn = [texts[rng.integers(len(texts))] for texts in (captions, meant) if texts]
    return replace(image, captions=tuple(drawn))


def _held_out(
    images: list[CaptionedImage], config: TrainConfig, notes: list[str]
) -> tuple[list[CaptionedImage], list[CaptionedImage]]:
    """Some to learn from and some to measure on, drawn by the seed."""
    count = min(max(round(len(images) * config.hold_out), 1), len(images) // 2)
    if not count:
        notes.append("The only captioned image is both learnt from and measured on, so the numbers flatter.")
        return images, images
    chosen = set(np.random.default_rng([config.seed, 3]).permutation(len(images))[:count].tolist())
    notes.append(f"There is no captioned val split: {count} of {len(images)} images are held out to measure on.")
    return (
        [image for index, image in enumerate(images) if index not in chosen],
        [image for index, image in enumerate(images) if index in chosen],
    )


def _usable(splits: Splits, left_out: Sequence[int], notes: list[str]) -> Splits:
    """The images whose files are there."""
    if splits.note:
        notes.append(splits.note)
    train, validation = (
        [image for image in images if image.id not in left_out and Path(image.path).is_file()]
        for images in (splits.train, splits.validation)
    )
    if not train or not validation:
        kept = {image.id for image in train + validation}
        missing = next(image for image in splits.train + splits.validation if image.id not in kept)
        raise NothingToTrain(f"The image files are gone, {missing.path!r} for one. Put them back, or import again.")
    gone = len(splits.train) + len(splits.validation) - len(train) - len(validation)
    if gone:
        notes.append(f"{gone} images are left out because their files are gone or can't be read.")
    return replace(splits, train=train, validation=validation)


def _sample(images: Sequence[T], config: TrainConfig) -> list[T]:
    """At most `config.validate_images`, drawn by the seed, in their own order."""
    if len(images) <= config.validate_images:
        return list(images)
    drawn = np.random.default_rng([config.seed, 2]).permutation(len(images))[: config.validate_images]
    return [images[index] for index in sorted(drawn)]
