"""From what a person typed to an ontology over the categories of a dataset."""

from dataclasses import dataclass
from pathlib import Path

import yaml
from sqlalchemy.orm import Session

from annotations.categories import ensure_categories
from annotations.queries import DatasetSummary, categories
from engine.errors import PromptError
from engine.ontology import Category, Ontology
from training.dataset import ontology_of
from training.phrases import asked_phrases

MAX_YAML_BYTES = 1_000_000


@dataclass(frozen=True)
class DatasetOntology:
    """An ontology and, for each of its categories in order, the id of the dataset's category."""

    ontology: Ontology
    category_ids: tuple[int, ...]


def adopt(session: Session, dataset: DatasetSummary, asked: Ontology) -> DatasetOntology:
    """Find each category that was asked for in the dataset, adding those it does not have.

    A name that differs only in case is the dataset's category ("rbc" finds "RBC"). A category asked for by its
    name alone is described by the phrases the dataset has for it.
    """
    rows = categories(session, dataset.id)
    phrases = asked_phrases([(row.name, [phrase.text for phrase in row.phrases]) for row in rows])
    known = {row.name.casefold(): (row, own) for row, own in zip(rows, phrases, strict=True)}
    wanted = []
    for category in asked.categories:
        if category.name.casefold() not in known:
            wanted.append(category)
            continue
        row, own = known[category.name.casefold()]
        described = category.phrases != Category(category.name).phrases
        wanted.append(Category(row.name, category.phrases if described else own))
    ontology = Ontology(tuple(wanted))
    rows = ensure_categories(session, dataset.id, [(c.name, c.phrases) for c in ontology.categories])
    return DatasetOntology(ontology, tuple(row.id for row in rows))


def of_dataset(session: Session, dataset: DatasetSummary) -> Ontology:
    """All categories of a dataset.

    Raises:
        PromptError: it has none.
    """
    rows = categories(session, dataset.id)
    if not rows:
        raise PromptError(f"Dataset {dataset.name!r} has no categories: type a prompt or import labels first.")
    return ontology_of(rows)


def read_ontology(path: Path) -> Ontology:
    """An ontology from a YAML file: category names, each with a phrase or a list of phrases.

    Every scalar is text: `yes`, `no` and `on` are names, not booleans.

    Raises:
        PromptError: not such a file.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PromptError(f"The ontology {str(path)!r} can't be read ({reason}): name a YAML file.") from error
    if len(content) > MAX_YAML_BYTES or ("&" in content and "*" in content):
        raise PromptError(f"{path.name} is no plain list of categories (too long, or with YAML aliases): simplify it.")
    try:
        document = yaml.load(content, Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader builds only text, lists, dicts
    except yaml.YAMLError as error:
        raise PromptError(f"{path.name} is not YAML ({' '.join(str(error).split())}): mend it there.") from error
    if isinstance(document, list) and all(isinstance(name, str) for name in document):
        return Ontology.from_names(document)
    if not isinstance(document, dict) or not document:
        raise PromptError(f"{path.name} holds no categories: write one `name: [phrase, phrase]` a line.")
    return Ontology(tuple(Category(name, _phrases(name, value, path)) for name, value in document.items()))


def _phrases(name: str, value: object, path: Path) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list) and all(isinstance(phrase, str) for phrase in value):
        return tuple(value)
    raise PromptError(f"{path.name}: the phrases of {name!r} must be text or a list of texts.")
