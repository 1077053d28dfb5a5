"""What long benchmarks keep: a file of JSON lines, one for each run that is done."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.errors import TrainingError


class RowsRefused(TrainingError):
    """A file that is no list of runs."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All runs that are done; the file and its folder are there from now on, so that the first run is not lost.

    Raises:
        RowsRefused: a line is no JSON object, as after a run that was killed while it wrote.
        OSError: the file can't be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        return [_row(line, number, path) for number, line in enumerate(file, start=1) if line.strip()]


def add_row(path: Path, row: Mapping[str, Any]) -> None:
    """One more run."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _row(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise RowsRefused(f"Line {number} of {str(path)!r} is no run of a benchmark. Delete it, or name another file.")
    return row
