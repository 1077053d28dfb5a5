"""Reads what YOLO says about a whole data set: class names, and where the splits are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml

from annotations.errors import ImportRefused
from annotations.models import Split
from annotations.names import printable

MAX_YAML_BYTES = 2**20
"""Ten thousand class names fit several times over."""

MAX_YAML_DEPTH = 16
"""Deeper nesting takes the parser seconds, and a list of classes needs none."""

_NAME_LISTS = ("classes.txt", "obj.names", "labels/classes.txt", "names.txt")


@dataclass(frozen=True)
class YoloConfig:
    """Class names by number, and the entries of each split as written."""

    root: Path  # the folder of the file
    base: Path  # the folder entries are relative to
    file_name: str
    names: Mapping[int, str]
    splits: Mapping[Split, tuple[str, ...]] = field(default_factory=dict)


def find_config(path: Path) -> Path | None:
    """data.yaml, any other YAML file with names, or a list of classes."""
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml") or path.name in _NAME_LISTS else None
    for file in [path / "data.yaml", *sorted(path.glob("*.yaml")), *sorted(path.glob("*.yml"))]:
        if file.is_file() and file.stat().st_size <= MAX_YAML_BYTES and b"names" in file.read_bytes():
            return file
    return next((path / name for name in _NAME_LISTS if (path / name).is_file()), None)


def read_config(path: Path) -> YoloConfig:
    """The class names and splits of a data set.

    Without any file that names the classes they are called by their number.

    Raises:
        ImportRefused: a file that is no YAML, has aliases, or lacks `names`.
    """
    file = find_config(path)
    if file is None and (path / "data.yaml").is_file():
        file = path / "data.yaml"  # whatever is wrong with it is told: classes must not lose their names in silence
    if file is None:
        return YoloConfig(path, path, path.name, _NumberedNames())
    if file.suffix.lower() not in (".yaml", ".yml"):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        root = file.parent.parent if file.parent.name == "labels" else file.parent
        return YoloConfig(root, root, file.name, dict(enumerate(line.strip() for line in lines if line.strip())))
    document = _document(file)
    splits: dict[Split, tuple[str, ...]] = {}
    for split in get_args(Split):
        entries = document.get(split)
        if isinstance(entries, str) and entries:
            entries = [entries]
        if isinstance(entries, list):
            splits[split] = tuple(entry for entry in entries if isinstance(entry, str))
    base = document.get("path")
    return YoloConfig(
        file.parent,
        file.parent / base if isinstance(base, str) else file.parent,
        file.name,
        _names(file, document.get("names")),
        splits,
    )


class _NumberedNames(Mapping[int, str]):
    """Names for classes that nobody named: their numbers; listed only once they are met."""

    def __init__(self) -> None:
        self._met: dict[int, str] = {}

    def __getitem__(self, number: int) -> str:
        if number != int(number) or not 0 <= number < 100_000:
            raise KeyError(number)
        return self._met.setdefault(int(number), f"class {int(number)}")

    def __iter__(self) -> Any:
        return iter(sorted(self._met))

    def __len__(self) -> int:
        return len(self._met)


def _document(file: Path) -> dict[str, Any]:
    """The YAML file with every scalar as the text it is written in: `yes`, `no` and `on` are class names.

    Aliases are refused before anything is built: 350 bytes of them can stand for millions of values.
    """
    if file.stat().st_size > MAX_YAML_BYTES:
        raise ImportRefused(f"{file.name} has more than {MAX_YAML_BYTES:,} bytes, too many for a list of classes.")
    try:
        text = file.read_text(encoding="utf-8")
        _refuse_bombs(file, text)
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes only text, lists and maps
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = printable(" ".join(str(error).split()))[:120]
        raise ImportRefused(f"{file.name} is not valid YAML ({reason}). Correct it.") from error
    if not isinstance(document, dict):
        raise ImportRefused(f"{file.name} holds no settings. It needs `names`.")
    return document


def _refuse_bombs(file: Path, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ImportRefused(f"{file.name} uses YAML aliases. Write the values out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH:
            raise ImportRefused(f"{file.name} is nested more than {MAX_YAML_DEPTH} levels deep. It needs three.")


def _names(file: Path, names: object) -> dict[int, str]:
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return dict(enumerate(names))
    if isinstance(names, dict):
        try:
            return {int(number): str(name) for number, name in names.items()}
        except ValueError as error:
            raise ImportRefused(f"{file.name}: `names` has a key that is not a number. Write 0: name.") from error
    raise ImportRefused(f"{file.name} has no list `names` of class names. Add it.")
