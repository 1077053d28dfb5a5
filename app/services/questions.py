"""The three ways to ask a detector, and the categories that its answers become."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from sqlalchemy.orm import Session

from annotations.categories import ensure_categories
from annotations.names import MAX_NAME_LENGTH, checked_name, printable
from annotations.queries import DatasetSummary, categories
from app.services.ontologies import adopt
from engine.errors import PromptError, quoted
from engine.ontology import Category, Ontology

if TYPE_CHECKING:
    import supervision as sv

    from engine.detector import BatchDetector, Caption
    from engine.preprocessing import AnyPicture

Task = Literal["detect", "ground", "refer"]

FLOOR = 0.05
"""Detections below this score are not kept; all above are, so that thresholds act later without the model."""

MEANT = 0.3
"""The one thing that an expression means scores at least this, as at the command line; else nothing is meant."""

TOP_K = 300

_EMPTY = {
    "ground": "The sentence is empty. Write one that names what to find, for example 'a cat left of two dogs'.",
    "refer": "Nothing is described. Describe one thing, for example 'the larger of the two cats'.",
}


@dataclass(frozen=True)
class Question:
    """What a person asks of images.

    Attributes:
        task: "detect" finds things by their names, "ground" all that a sentence names, "refer" the one thing meant.
        text: what was typed; predictions keep it.
        ontology: the categories that answers become.
        caption: of "ground" alone.
        owners: of "ground", the category of each of the caption's phrases, an index into the ontology's.
    """

    task: Task
    text: str
    ontology: Ontology
    caption: "Caption | None" = None
    owners: tuple[int, ...] = ()


def question(task: Task, prompt: str) -> Question:
    """The question that a person typed.

    Raises:
        PromptError: one line; the prompt says nothing, or something that can't name a category.
    """
    if task == "detect":
        return things(Ontology.from_prompt(prompt))
    text = " ".join(prompt.split())
    if not text.strip(".?!,;: "):
        raise PromptError(_EMPTY[task])
    if printable(text) != text:
        raise PromptError(f"{quoted(printable(text))} holds a control character. Type it again.")
    return _sentence(text) if task == "ground" else _expression(text)


def things(ontology: Ontology) -> Question:
    """The question for all things of these categories."""
    return Question("detect", " ".join(f"{name}." for name in ontology.names), ontology)


def adopted(session: Session, dataset: DatasetSummary, asked: Question) -> tuple[Question, tuple[int, ...]]:
    """The question in the dataset's own words, and the ids of its categories, made where they are missing.

    A name finds the category of that name whatever its case; in a sentence, a plural finds that of its singular too.
    """
    if asked.task == "detect":
        own = adopt(session, dataset, asked.ontology)
        return things(own.ontology), own.category_ids
    names = {row.name.casefold(): row.name for row in categories(session, dataset.id)}
    meant = [_meant(name, names, asked.ontology.names) for name in asked.ontology.names]
    return asked, tuple(row.id for row in ensure_categories(session, dataset.id, [(name, ()) for name in meant]))


def answers(detector: "BatchDetector", images: "Sequence[AnyPicture]", asked: Question) -> "list[sv.Detections]":
    """What the detector finds on each image; `class_id` is an index into the question's categories.

    Names that take several prompts stand against each other in a second pass.
    """
    from engine.doubles import without_doubles

    count = len(images)
    if asked.task == "refer":
        return detector.refer(images, [asked.text] * count, threshold=MEANT)
    if asked.caption is None:
        found = detector.detect(images, asked.ontology, threshold=FLOOR, top_k=TOP_K, second_pass=True)
    else:
        grounded = detector.ground(images, [asked.caption] * count, threshold=FLOOR, top_k=TOP_K)
        found = [_owned(each, asked.owners) for each in grounded]
    return [without_doubles(each) for each in found]


def _sentence(text: str) -> Question:
    """All that a sentence names; what it names twice is one category."""
    from engine.captions import caption_of  # supervision takes a second, which a page that only starts need not wait

    caption = caption_of(text)
    names: dict[str, str] = {}
    for phrase in caption.phrases:
        names.setdefault(phrase.casefold(), _named(phrase, "phrase"))
    places = {name: place for place, name in enumerate(names)}
    owners = tuple(places[phrase.casefold()] for phrase in caption.phrases)
    return Question("ground", text, Ontology.from_names(names.values()), caption, owners)


def _expression(text: str) -> Question:
    """The one thing that is meant, its category named by all the words."""
    return Question("refer", text, Ontology((Category(_named(text.rstrip(".?!,;: "), "description")),)))


def _named(words: str, what: str) -> str:
    try:
        return checked_name(words, what)
    except ValueError as error:
        assert len(words) > MAX_NAME_LENGTH, error  # empty ones and control characters are refused before
        raise PromptError(str(error)) from error


def _meant(name: str, known: Mapping[str, str], asked: Sequence[str]) -> str:
    """The category's name in the dataset, or in the sentence, that a phrase stands for."""
    said = name.casefold()
    beside = {other.casefold(): other for other in asked}
    choices = (known.get(said), *(names.get(one) for names in (known, beside) for one in _singulars(said)))
    return next((choice for choice in choices if choice is not None), name)


def _singulars(words: str) -> Iterator[str]:
    """What the words might be a plural of: "dogs", "boxes" and "cherries" by the endings of English."""
    for ending, singular in (("ies", "y"), ("es", ""), ("s", "")):
        if words.endswith(ending) and len(words) > len(ending) + 1:
            yield words.removesuffix(ending) + singular


def _owned(found: "sv.Detections", owners: Sequence[int]) -> "sv.Detections":
    """The detections by category instead of by phrase."""
    if found.class_id is None or not len(found):
        return found
    return replace(found, class_id=np.array(owners, np.int64)[found.class_id])
