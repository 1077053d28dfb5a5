"""The items of an edit, checked field by field before anything is changed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from annotations.models import EditKind
from annotations.shapes import checked_mask, four_numbers

MAX_ITEMS = 10_000
"""In one edit; more can be sent as several."""

_MAX_ROW_ID = 2**31 - 1


def checked_items(kind: EditKind, items: Sequence[object]) -> tuple[Mapping[str, Any], ...]:
    """The items with their values in our own types, once every field is known to be right.

    Raises:
        ValueError: one line for the first fault found.
    """
    required, optional = _FIELDS[kind]
    _check_count(kind, len(items), has_fields=bool(required))
    checked = tuple(_checked_item(kind, item, required, required | optional) for item in items)
    for name in ("id", "annotation_id", "prediction_id"):
        values = [item[name] for item in checked if name in item]
        if len(values) != len(set(values)):
            raise ValueError(f"The edit names the same {name} twice. Name each once.")
    return checked


def _check_count(kind: EditKind, count: int, *, has_fields: bool) -> None:
    if not has_fields and count:
        raise ValueError(f"An edit of kind {kind!r} takes no items; this one has {count}.")
    if has_fields and not count:
        raise ValueError(f"An edit of kind {kind!r} without items changes nothing. Add one.")
    if kind == "mark" and count != 1:
        raise ValueError(f"An edit of kind 'mark' takes one item; this one has {count}.")
    if count > MAX_ITEMS:
        raise ValueError(f"The edit has {count} items; {MAX_ITEMS} is the most. Send several edits.")


def _checked_item(kind: EditKind, item: object, required: frozenset[str], allowed: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise ValueError(f"An item of an edit is an object, not {str(item)[:60]}.")
    if missing := required - item.keys():
        raise ValueError(f"An item of kind {kind!r} lacks {min(missing)!r}.")
    if extra := {str(name) for name in item} - allowed:
        raise ValueError(f"An item of kind {kind!r} has no field {min(extra)[:60]!r}.")
    if kind == "update" and len(item) == 1:
        raise ValueError("An update without category_id, xyxy or mask changes nothing.")
    return {name: _CHECKS[name](name, value) for name, value in item.items()}


def _uuid(name: str, value: object) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError as error:
        raise ValueError(f"{name} is {str(value)[:60]!r}, not a UUID.") from error


def _row_id(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MAX_ROW_ID:
        raise ValueError(f"{name} is {str(value)[:60]!r}, not a whole number above 0.")
    return value


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {str(value)[:60]!r}, not true or false.")
    return value


_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "id": _uuid,
    "annotation_id": _uuid,
    "category_id": _row_id,
    "prediction_id": _row_id,
    "xyxy": lambda _name, value: four_numbers(value),
    "mask": lambda _name, value: None if value is None else checked_mask(value),
    "done": _boolean,
}

_NONE: frozenset[str] = frozenset()
_FIELDS: dict[EditKind, tuple[frozenset[str], frozenset[str]]] = {  # required, optional
    "create": (frozenset({"id", "category_id", "xyxy"}), frozenset({"mask"})),
    "update": (frozenset({"id"}), frozenset({"category_id", "xyxy", "mask"})),
    "delete": (frozenset({"id"}), _NONE),
    "accept": (frozenset({"prediction_id", "annotation_id"}), _NONE),
    "reject": (frozenset({"prediction_id"}), _NONE),
    "mark": (frozenset({"done"}), _NONE),
    "undo": (_NONE, _NONE),
    "redo": (_NONE, _NONE),
}
