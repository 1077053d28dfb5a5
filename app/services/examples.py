"""The pictures that come with Groundwork, each with a question to try on it."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.services.questions import Task

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SCENES = EXAMPLES / "scenes"
EXAMPLES_NAME = "examples"
"""Of the dataset they become."""


@dataclass(frozen=True)
class Example:
    """One picture and what to ask of it."""

    file: str  # its name in the folder of scenes and in the dataset
    title: str
    task: Task
    prompt: str


@cache
def examples() -> tuple[Example, ...]:
    """All of them, in the order they are shown."""
    described = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
    return tuple(
        Example(Path(row["file"]).name, row["title"], row["task"], row["prompt"]) for row in described["images"]
    )
