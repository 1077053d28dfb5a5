"""A dataset's labels as training sees them: read once, kept beside the run, split for learning and measuring."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from annotations import models
from annotations.queries import LabelledImage, categories, dataset_by_name, labelled_images
from common.publish import published_file
from engine.ontology import Category, Ontology
from training.errors import NothingToTrain
from training.phrases import asked_phrases

_LEAST_TO_HOLD_OUT_FROM = 8  # with fewer images all are learnt from, and measured on


@dataclass(frozen=True)
class LabelledDataset:
    """Images with their labels; their `category_ids` and `absent_ids` are indices into the ontology.

    Attributes:
        id: of the dataset in the database.
        name: what people call it.
        ontology: its categories with their phrases.
        images: those that teach something, of every split: with annotations, or marked as done and empty.
    """

    id: int
    name: str
    ontology: Ontology
    images: tuple[LabelledImage, ...]

    def of_split(self, split: str | None) -> list[LabelledImage]:
        """The images of a split; None: of all."""
        return [image for image in self.images if split is None or image.split == split]


@dataclass(frozen=True)
class Splits:
    """What is learnt from and what is measured on.

    Attributes:
        train: images to learn from.
        validation: images to measure on.
        note: a line for the person where the two are not what a careful person would have chosen; else None.
    """

    train: list[LabelledImage]
    validation: list[LabelledImage]
    note: str | None = None


def read_dataset(session: Session, name: str) -> LabelledDataset:
    """The dataset called `name` as it is now.

    Raises:
        NotFound: there is none of this name.
        NothingToTrain: it has no category.
        PromptError: a category's phrases can't be asked for.
    """
    dataset = dataset_by_name(session, name)
    rows = categories(session, dataset.id)
    if not rows:
        raise NothingToTrain(f"Dataset {name!r} has no category. Label some images, or import labels, first.")
    index = {row.id: position for position, row in enumerate(rows)}
    ontology = ontology_of(rows)
    images = tuple(
        replace(
            image,
            category_ids=np.array([index[int(id_)] for id_ in image.category_ids], np.int64),
            absent_ids=frozenset(index[id_] for id_ in image.absent_ids),
        )
        for image in labelled_images(session, dataset.id, None)
    )
    return LabelledDataset(dataset.id, name, ontology, images)


def ontology_of(rows: Sequence[models.Category]) -> Ontology:
    """The categories of a dataset as a detector is asked for them, in their order (`asked_phrases`).

    Raises:
        PromptError: there are none, or their phrases can't be asked for.
    """
    named = [(row.name, [phrase.text for phrase in row.phrases]) for row in rows]
    return Ontology(tuple(Category(name, own) for (name, _), own in zip(named, asked_phrases(named), strict=True)))


def split_for_training(dataset: LabelledDataset, hold_out: float, seed: int) -> Splits:
    """Learn from "train" and from images without a split, measure on "val"; "test" is never touched.

    Without a labelled "val" image a share of the training images is held out; where there are fewer than 8, all are
    learnt from and measured on.

    Raises:
        NothingToTrain: no annotation to learn from.
    """
    train = [image for image in dataset.images if image.split in (None, "train")]
    validation = dataset.of_split("val")
    if not any(len(image.boxes_xyxy) for image in train):
        raise NothingToTrain(_why_nothing(dataset))
    if any(len(image.boxes_xyxy) for image in validation):
        return Splits(train, validation)
    if len(train) < _LEAST_TO_HOLD_OUT_FROM:
        count = "The only labelled image is" if len(train) == 1 else f"All {len(train)} labelled images are"
        return Splits(train, train, f"{count} both learnt from and measured on, so the numbers flatter. Label more.")
    return _held_out(train, hold_out, seed)


def save_dataset(dataset: LabelledDataset, path: Path) -> None:
    """Write the labels as JSON."""
    with published_file(path) as aside:
        aside.write_text(json.dumps(to_document(dataset)), encoding="utf-8")


def load_dataset(path: Path) -> LabelledDataset:
    """What `save_dataset` wrote."""
    return from_document(json.loads(path.read_text(encoding="utf-8")))


def to_document(dataset: LabelledDataset) -> dict[str, Any]:
    """The labels as JSON values."""
    return {
        "id": dataset.id,
        "name": dataset.name,
        "categories": [{"name": c.name, "phrases": list(c.phrases)} for c in dataset.ontology.categories],
        "images": [_image_to_json(image) for image in dataset.images],
    }


def from_document(document: Mapping[str, Any]) -> LabelledDataset:
    """What `to_document` gave."""
    ontology = Ontology(tuple(Category(c["name"], tuple(c["phrases"])) for c in document["categories"]))
    images = tuple(_image_from_json(facts) for facts in document["images"])
    return LabelledDataset(document["id"], document["name"], ontology, images)


def _held_out(train: Sequence[LabelledImage], share: float, seed: int) -> Splits:
    order = np.random.default_rng([seed, 3]).permutation(len(train))
    count = min(max(round(len(train) * share), 2), len(train) // 2)
    chosen = set(order[:count].tolist())
    # One labelled image at least on each side: a swap costs nothing, an empty side everything.
    kept = [image for index, image in enumerate(train) if index not in chosen]
    held = [image for index, image in enumerate(train) if index in chosen]
    if not any(len(i.boxes_xyxy) for i in held) or not any(len(i.boxes_xyxy) for i in kept):
        return Splits(list(train), list(train), "Too few images have boxes to hold some out, so the numbers flatter.")
    note = f"There is no labelled val split: {len(held)} of {len(train)} images are held out to measure on."
    return Splits(kept, held, note)


def _why_nothing(dataset: LabelledDataset) -> str:
    splits = ("val", "test")
    elsewhere = [split for split in splits if any(len(image.boxes_xyxy) for image in dataset.of_split(split))]
    if elsewhere:
        names = " and ".join(elsewhere)
        return (
            f"Dataset {dataset.name!r} has annotations only in its {names} split, and none to learn from. "
            "Import or label images of the train split."
        )
    return f"Dataset {dataset.name!r} has no annotation. Label some images, or accept predictions, before training."


def _image_to_json(image: LabelledImage) -> dict[str, Any]:
    return {
        "id": image.id,
        "path": image.path,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
        "split": image.split,
        "boxes_xyxy": image.boxes_xyxy.tolist(),
        "classes": image.category_ids.tolist(),
        "iscrowd": image.iscrowd.tolist(),
        "done": image.done,
        "absent": sorted(image.absent_ids),
    }


def _image_from_json(facts: dict[str, Any]) -> LabelledImage:
    boxes = np.array(facts["boxes_xyxy"], np.float32).reshape(-1, 4)
    classes = np.array(facts["classes"], np.int64)
    return LabelledImage(
        id=facts["id"],
        path=facts["path"],
        file_name=facts["file_name"],
        width=facts["width"],
        height=facts["height"],
        split=facts["split"],
        boxes_xyxy=boxes,
        category_ids=classes,
        rles=[None] * len(boxes),
        iscrowd=np.array(facts["iscrowd"], np.bool_),
        done=facts.get("done", False),
        absent_ids=frozenset(facts.get("absent", ())),
    )
