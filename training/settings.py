"""Settings as text and YAML, read as the type each one has."""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import yaml

from training.errors import ConfigRefused

_MAX_BYTES = 64 * 1024
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_yaml(path: Path) -> dict[str, Any]:
    """The flat mapping in a YAML file.

    Raises:
        ConfigRefused: the file is missing or is no such thing.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigRefused(f"Can't read the settings file {str(path)!r}: {error.strerror}.") from error
    if len(raw) > _MAX_BYTES:
        raise ConfigRefused(f"{str(path)!r} has {len(raw)} bytes, too many for a settings file (at most 65536).")
    try:
        values = yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise ConfigRefused(f"{str(path)!r} is no readable YAML: {line[:200]}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigRefused(f"{str(path)!r} must hold lines like 'steps: 400', not a {type(values).__name__}.")
    return {str(key): value for key, value in values.items()}


def read_value(value: Any, hint: Any) -> Any:
    """`value` as the type of `hint`.

    Raises:
        ValueError: it is none.
    """
    if get_origin(hint) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise ValueError(value)
        return tuple(read_value(_stripped(part), get_args(hint)[0]) for part in parts if part != "")
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
        raise ValueError(value)
    if hint is bool:
        return _truth(value)
    if hint is str:
        if isinstance(value, str):
            return value
        raise ValueError(value)
    return _number(value, hint)


def wanted(hint: Any) -> str:
    """What a value of this type looks like, for an error message."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        example = {int: "whole numbers like 320,384", str: "names like cat,dog"}
        return example.get(inner) or "some of " + ", ".join(get_args(inner))
    if get_origin(hint) in (Literal, UnionType):
        return "one of " + ", ".join(get_args(hint))
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[hint]


def type_faults(settings: Mapping[str, Any], hints: Mapping[str, Any]) -> list[str]:
    """A line for each setting whose value is not of its type."""
    faults = []
    for name, hint in hints.items():
        try:
            read_value(settings[name], hint)
        except (ValueError, OverflowError):
            faults.append(f"{name} is {reprlib.repr(settings[name])}, it must be {wanted(hint)}")
    return faults


def _stripped(part: Any) -> Any:
    return part.strip() if isinstance(part, str) else part


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    raise ValueError(value)


def _number(value: Any, hint: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(value)
    number = float(value)  # YAML 1.1 reads 1e-4 as text
    if hint is float:
        return number
    if not number.is_integer():
        raise ValueError(value)
    return int(number)
