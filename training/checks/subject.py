"""A dataset as it lies in the store, before anything refuses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from annotations.models import Dataset, Image
from annotations.queries import LabelledImage, categories, dataset_by_name, labelled_images
from engine.errors import PromptError
from engine.ontology import Category, Ontology
from training.config import TrainConfig
from training.dataset import LabelledDataset, split_for_training
from training.errors import NothingToTrain


@dataclass(frozen=True)
class NamedPhrases:
    """A category as people wrote it: nothing is cleaned and nothing is sure."""

    name: str
    phrases: tuple[str, ...]
    color: str = "#708090"


@dataclass(frozen=True)
class Subject:
    """What is to be checked.

    Attributes:
        name: of the dataset.
        categories: in the order their ids have.
        images: the labelled ones; their `category_ids` are indices into `categories`.
        prompt: the last text typed into the prompt box.
        digests: image id -> SHA-256 of its file when it was imported.
        unfinished: ids of the labelled images that are not marked as done.
        bare: images without any label that are not marked as done: they take no part.
    """

    name: str
    categories: tuple[NamedPhrases, ...]
    images: tuple[LabelledImage, ...]
    prompt: str | None = None
    digests: Mapping[int, str] = field(default_factory=dict)
    unfinished: frozenset[int] = frozenset()
    bare: int = 0


@dataclass(frozen=True)
class Parts:
    """The images of a subject by what a run does with them.

    Attributes:
        train: learnt from.
        validation: measured on.
        test: of the test split, which a run never touches.
        refusal: why there is nothing to learn from, else None.
        note: what a person should know of the split, else None.
    """

    train: Sequence[LabelledImage]
    validation: Sequence[LabelledImage]
    test: Sequence[LabelledImage]
    refusal: str | None = None
    note: str | None = None


def read_subject(session: Session, name: str) -> Subject:
    """The dataset called `name`.

    Raises:
        NotFound: there is none of this name.
    """
    dataset = dataset_by_name(session, name)
    rows = categories(session, dataset.id)
    index = {row.id: position for position, row in enumerate(rows)}
    images = tuple(
        replace(image, category_ids=np.array([index[int(id_)] for id_ in image.category_ids], np.int64))
        for image in labelled_images(session, dataset.id, None)
    )
    facts = session.execute(
        select(Image.id, Image.sha256, Image.done_at.is_not(None)).where(Image.dataset_id == dataset.id)
    ).all()
    labelled = {image.id for image in images}
    total = session.scalar(select(func.count()).where(Image.dataset_id == dataset.id)) or 0
    return Subject(
        name=name,
        categories=tuple(NamedPhrases(row.name, tuple(p.text for p in row.phrases), row.color) for row in rows),
        images=images,
        prompt=session.scalar(select(Dataset.prompt).where(Dataset.id == dataset.id)),
        digests={id_: digest for id_, digest, _ in facts if id_ in labelled},
        unfinished=frozenset(id_ for id_, _, done in facts if id_ in labelled and not done),
        bare=total - len(images),
    )


def parts_of(subject: Subject, config: TrainConfig) -> Parts:
    """The images as `split_for_training` divides them, whatever is wrong with the categories."""
    stand_in = Ontology.from_names(f"category {number}" for number in range(len(subject.categories) or 1))
    dataset = LabelledDataset(0, subject.name, stand_in, subject.images)
    test = dataset.of_split("test")
    try:
        splits = split_for_training(dataset, config.hold_out, config.seed)
    except NothingToTrain as refusal:
        train = [image for image in subject.images if image.split in (None, "train")]
        return Parts(train, dataset.of_split("val"), test, refusal=str(refusal))
    return Parts(splits.train, splits.validation, test, note=splits.note)


def readable(category: NamedPhrases) -> Category | None:
    """The category as a detector is asked for it; None where it can't be."""
    try:
        return Category(category.name, category.phrases)
    except PromptError:
        return None
