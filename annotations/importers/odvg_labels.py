"""Reads what ODVG's label numbers mean."""

import json
from collections.abc import Mapping
from pathlib import Path

from annotations.errors import ImportRefused
from annotations.names import printable

LabelMap = Mapping[int, str]

MAX_MAP_BYTES = 16 * 2**20
"""A hundred thousand names fit."""


def label_map_of(file: Path) -> LabelMap | None:
    """The names of the labels of an ODVG file, or None when no label map lies beside it.

    Looked for is label_map.json or *_label_map.json, the one whose name has most in common with the file's.

    Raises:
        ImportRefused: a label map that can't be read, or several that may be meant.
    """
    candidates = [*sorted(file.parent.glob("label_map*.json")), *sorted(file.parent.glob("*_label_map.json"))]
    if len(candidates) > 1:
        fitting = [found for found in candidates if file.name.startswith(_prefix(found))]
        longest = max((len(_prefix(found)) for found in fitting), default=0)
        candidates = [found for found in fitting if len(_prefix(found)) == longest] or candidates
    if len(candidates) > 1:
        names = " or ".join(repr(printable(found.name)) for found in candidates[:3])
        raise ImportRefused(
            f"Is {names} the label map of {printable(file.name)!r}? Name it {file.stem}_label_map.json."
        )
    return _label_map(candidates[0]) if candidates else None


def _prefix(file: Path) -> str:
    """What a label map's name says it belongs to: o365v1 of o365v1_label_map.json."""
    return file.name.partition("label_map")[0].removesuffix("_")


def _label_map(file: Path) -> LabelMap:
    name = printable(file.name)
    if file.stat().st_size > MAX_MAP_BYTES:
        raise ImportRefused(f"{name} has more than {MAX_MAP_BYTES:,} bytes, too many for a label map. Correct it.")
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        reason = printable(" ".join(str(error).split()))[:120]
        raise ImportRefused(f"{name} is not valid JSON ({reason}). Correct it.") from error
    if isinstance(content, list):
        content = dict(enumerate(content))
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise ImportRefused(f'{name} is no label map. It needs names by number: {{"0": "cat"}}.')
    try:
        return {int(number): value for number, value in sorted(content.items(), key=lambda item: int(item[0]))}
    except ValueError as error:
        raise ImportRefused(
            f'{name} has a label that is no number. It needs names by number: {{"0": "cat"}}.'
        ) from error
