"""A dataset as it lies in the store, before anything refuses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from annotations.captions import CaptionedImage, captioned_images
from annotations.models import Dataset, Image
from annotations.queries import LabelledImage, categories, dataset_by_name, labelled_images
from engine.errors import PromptError
from engine.ontology import Category, Ontology
from training.config import TrainConfig
from training.dataset import LabelledDataset, split_for_training
from training.errors import NothingToTrain
from training.phrases import asked_phrases

AnyImage = LabelledImage | CaptionedImage


@dataclass(frozen=True)
class NamedPhrases:
    """A category with what a detector is asked for (`asked_phrases`): as people wrote it, so nothing is sure."""

    name: str
    phrases: tuple[str, ...]
    color: str = "#708090"


@dataclass(frozen=True)
class Subject:
    """What is to be checked.

    Attributes:
        name: of the dataset.
        categories: in the order their ids have.
        images: the labelled ones; their `category_ids` and `absent_ids` are indices into `categories`.
        prompt: the last text typed into the prompt box.
        digests: image id -> SHA-256 of its file when it was imported.
        unfinished: ids of the labelled images that are not marked as done.
        captioned: the images with captions or expressions.
        bare: images without any label or caption that are not marked as done: they take no part.
    """

    name: str
    categories: tuple[NamedPhrases, ...]
    images: tuple[LabelledImage, ...]
    prompt: str | None = None
    digests: Mapping[int, str] = field(default_factory=dict)
    unfinished: frozenset[int] = frozenset()
    captioned: tuple[CaptionedImage, ...] = ()
    bare: int = 0


@dataclass(frozen=True)
class Parts:
    """The images of a subject by what a run does with them.

    Attributes:
        train: labelled ones that are learnt from.
        validation: labelled ones that are measured on.
        test: labelled ones of the test split, which a run never touches.
        train_texts: captioned ones that are learnt from.
        validation_texts: captioned ones that are measured on.
        refusal: why there is nothing to learn from, else None.
        note: what a person should know of the split, else None.
    """

    train: Sequence[LabelledImage]
    validation: Sequence[LabelledImage]
    test: Sequence[LabelledImage]
    train_texts: Sequence[CaptionedImage] = ()
    validation_texts: Sequence[CaptionedImage] = ()
    refusal: str | None = None
    note: str | None = None

    def by_use(self) -> dict[str, list[AnyImage]]:
        """Every image once, under the first use it has: "train", "val" or "test"."""
        seen: set[int] = set()
        uses: dict[str, list[AnyImage]] = {}
        all_of: dict[str, list[AnyImage]] = {
            "train": [*self.train, *self.train_texts],
            "val": [*self.validation, *self.validation_texts],
            "test": [*self.test],
        }
        for use, images in all_of.items():
            uses[use] = list({image.id: image for image in images if image.id not in seen}.values())
            seen |= {image.id for image in images}
        return uses


def read_subject(session: Session, name: str) -> Subject:
    """The dataset called `name`.

    Raises:
        NotFound: there is none of this name.
    """
    dataset = dataset_by_name(session, name)
    rows = categories(session, dataset.id)
    index = {row.id: position for position, row in enumerate(rows)}
    images = tuple(
        replace(
            image,
            category_ids=np.array([index[int(id_)] for id_ in image.category_ids], np.int64),
            absent_ids=frozenset(index[id_] for id_ in image.absent_ids),
        )
        for image in labelled_images(session, dataset.id, None)
    )
    facts = session.execute(
        select(Image.id, Image.sha256, Image.done_at.is_not(None)).where(Image.dataset_id == dataset.id)
    ).all()
    labelled = {image.id for image in images}
    captioned = tuple(captioned_images(session, dataset.id))
    used = labelled | {image.id for image in captioned}
    phrases = asked_phrases([(row.name, [phrase.text for phrase in row.phrases]) for row in rows])
    total = session.scalar(select(func.count()).where(Image.dataset_id == dataset.id)) or 0
    return Subject(
        name=name,
        categories=tuple(NamedPhrases(row.name, own, row.color) for row, own in zip(rows, phrases, strict=True)),
        images=images,
        prompt=session.scalar(select(Dataset.prompt).where(Dataset.id == dataset.id)),
        digests={id_: digest for id_, digest, _ in facts if id_ in used},
        unfinished=frozenset(id_ for id_, _, done in facts if id_ in labelled and not done),
        captioned=captioned,
        bare=total - len(used),
    )


def parts_of(subject: Subject, config: TrainConfig) -> Parts:
    """The images as `split_for_training` divides them, whatever is wrong with the categories."""
    stand_in = Ontology.from_names(f"category {number}" for number in range(len(subject.categories) or 1))
    dataset = LabelledDataset(0, subject.name, stand_in, subject.images)
    test = dataset.of_split("test")
    try:
        splits = split_for_training(dataset, config.hold_out, config.seed)
        parts = Parts(splits.train, splits.validation, test, note=splits.note)
    except NothingToTrain as refusal:
        train = [image for image in subject.images if image.split in (None, "train")]
        parts = Parts(train, dataset.of_split("val"), test, refusal=str(refusal))
    if parts.refusal is None and not config.captions:
        return parts  # beside boxes no text is asked for
    held_out = {image.id for image in parts.validation} - {image.id for image in parts.train}
    train_texts = [i for i in subject.captioned if i.split in (None, "train") and i.id not in held_out]
    validation_texts = [image for image in subject.captioned if image.split == "val"]
    parts = replace(parts, train_texts=train_texts, validation_texts=validation_texts)
    return replace(parts, refusal=None) if train_texts else parts


def readable(category: NamedPhrases) -> Category | None:
    """The category as a detector is asked for it; None where it can't be."""
    try:
        return Category(category.name, category.phrases)
    except PromptError:
        return None
