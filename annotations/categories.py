"""Categories: found or made by name, renamed, recoloured, deleted while unused."""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from annotations.errors import EditRefused, NotFound
from annotations.models import Annotation, Category, Dataset, Phrase
from annotations.names import checked_name

PALETTE = (
    "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#00b5ad", "#f032e6", "#7cb518",
    "#0086c9", "#b5651d", "#d4a017", "#800000", "#2e8b57", "#5b4fcf", "#ff6f91", "#6b8e23",
    "#008080", "#c71585", "#1e90ff", "#a0522d", "#ff4500", "#556b2f", "#8b008b", "#708090",
)  # fmt: skip
"""Colours that stay apart on photographs, given in this order."""


def ensure_categories(
    session: Session, dataset_id: int, names_with_phrases: Iterable[tuple[str, Sequence[str]]]
) -> list[Category]:
    """The dataset's categories of these names, made where missing, in the order asked for.

    Args:
        session: a unit of work that writes.
        dataset_id: whose categories.
        names_with_phrases: each name with its phrases; phrases replace those of a category that is there,
            no phrases leave them as they are (a new category's phrase is its name).

    Raises:
        NotFound: no such dataset.
        EditRefused: a name or phrase that cannot be kept.
    """
    dataset = _dataset(session, dataset_id)
    query = select(Category).where(Category.dataset_id == dataset_id)
    by_name = {category.name: category for category in session.scalars(query)}
    wanted = [
        (_checked(name, "category name"), [_checked(text, "phrase") for text in phrases])
        for name, phrases in names_with_phrases
    ]
    for name, phrases in wanted:
        if name not in by_name:
            by_name[name] = _new_category(session, dataset, name, phrases or [name])
        elif phrases and phrases != [phrase.text for phrase in by_name[name].phrases]:
            _set_phrases(session, by_name[name], phrases)
    return [by_name[name] for name, _ in wanted]


def add_category(
    session: Session, dataset_id: int, name: str, phrases: Sequence[str] = (), *, coco_id: int | None = None
) -> Category:
    """A new category; `coco_id` is the id exports use, the next free one when not given.

    Raises:
        NotFound: no such dataset.
        EditRefused: the name is taken or cannot be kept, or the id is taken.
    """
    dataset = _dataset(session, dataset_id)
    name = _checked(name, "category name")
    _refuse_taken(session, dataset_id, name)
    texts = [_checked(text, "phrase") for text in phrases] or [name]
    if coco_id is not None and (coco_id < 0 or coco_id in set(_coco_ids(session, dataset_id))):
        raise EditRefused(f"Category id {coco_id} is taken or below 0. Choose another.")
    return _new_category(session, dataset, name, texts, coco_id)


def rename_category(session: Session, category_id: int, name: str) -> Category:
    """Another name; annotations, colour and id stay. Where the old name was all that described it, the new one does.

    Raises:
        NotFound, EditRefused: as for `add_category`.
    """
    category = category_by_id(session, category_id)
    name = _checked(name, "category name")
    if name != category.name:
        _refuse_taken(session, category.dataset_id, name)
        if [phrase.text.casefold() for phrase in category.phrases] == [category.name.casefold()]:
            _set_phrases(session, category, [name])
        category.name = name
        session.flush()
    return category


def recolour_category(session: Session, category_id: int, color: str) -> Category:
    """Another colour, `#rrggbb`."""
    category = category_by_id(session, category_id)
    if not isinstance(color, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise EditRefused(f"{str(color)[:40]!r} is not a colour. Write #rrggbb, such as #1e90ff.")
    category.color = color.lower()
    session.flush()
    return category


def set_threshold(session: Session, category_id: int, threshold: float | None) -> Category:
    """The score below which this category's predictions are hidden; None: the common one counts."""
    category = category_by_id(session, category_id)
    if threshold is not None and not 0 <= threshold <= 1:
        raise EditRefused(f"The threshold {threshold} is not between 0 and 1.")
    category.threshold = None if threshold is None else float(threshold)
    session.flush()
    return category


def set_phrases(session: Session, category_id: int, phrases: Sequence[str]) -> Category:
    """What the detector is asked for; at least one phrase."""
    category = category_by_id(session, category_id)
    texts = [_checked(text, "phrase") for text in phrases]
    if not texts:
        raise EditRefused(f"Category {category.name!r} needs at least one phrase.")
    _set_phrases(session, category, texts)
    return category


def delete_category(session: Session, category_id: int) -> None:
    """Remove a category that no annotation uses; its predictions go with it.

    Raises:
        NotFound: no such category.
        EditRefused: annotations use it.
    """
    category = category_by_id(session, category_id)
    used = session.scalar(select(func.count()).where(Annotation.category_id == category_id)) or 0
    if used:
        raise EditRefused(f"{category.name!r} is used by {used} annotations. Relabel or delete those first.")
    session.delete(category)
    session.flush()


def category_by_id(session: Session, category_id: int) -> Category:
    """The category, or NotFound."""
    category = session.get(Category, category_id)
    if category is None:
        raise NotFound(f"There is no category {category_id}. Reload the page.")
    return category


def _dataset(session: Session, dataset_id: int) -> Dataset:
    dataset = session.get(Dataset, dataset_id, with_for_update=True)
    if dataset is None:
        raise NotFound(f"There is no dataset {dataset_id}. Reload the page.")
    return dataset


def _new_category(
    session: Session, dataset: Dataset, name: str, phrases: Sequence[str], coco_id: int | None = None
) -> Category:
    count = session.scalar(select(func.count()).where(Category.dataset_id == dataset.id)) or 0
    number = dataset.next_coco_id if coco_id is None else coco_id
    dataset.next_coco_id = max(dataset.next_coco_id, number + 1)
    category = Category(dataset_id=dataset.id, name=name, color=PALETTE[count % len(PALETTE)], coco_id=number)
    category.phrases = [Phrase(text=text, position=position) for position, text in enumerate(phrases)]
    session.add(category)
    session.flush()
    return category


def _set_phrases(session: Session, category: Category, phrases: Sequence[str]) -> None:
    session.execute(delete(Phrase).where(Phrase.category_id == category.id))
    session.expire(category, ["phrases"])
    category.phrases = [Phrase(text=text, position=position) for position, text in enumerate(phrases)]
    session.flush()


def _coco_ids(session: Session, dataset_id: int) -> Iterable[int]:
    return session.scalars(select(Category.coco_id).where(Category.dataset_id == dataset_id))


def _refuse_taken(session: Session, dataset_id: int, name: str) -> None:
    query = select(Category.id).where(Category.dataset_id == dataset_id, Category.name == name)
    if session.scalar(query) is not None:
        raise EditRefused(f"There already is a category {name!r}. Choose another name.")


def _checked(text: str, what: str) -> str:
    try:
        return checked_name(text, what)
    except ValueError as error:
        raise EditRefused(str(error)) from error
