"""What a person is told when something fails: always one line."""

import errno
import tempfile
import traceback
from pathlib import Path

LONGEST_PATH_SHOWN = 200
OURS = frozenset({"common", "engine", "annotations", "training", "app"})


class Refused(Exception):
    """Something that can't be done as asked; the text is one line that says what to do instead."""


def explain(error: BaseException) -> str:
    """One line for an error: our own words where we foresaw it, else where the details were written."""
    if type(error).__module__.split(".")[0] in OURS or (isinstance(error, FileExistsError) and error.errno is None):
        return _one_line(str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: free some space and try again; what was saved before is intact."
    if isinstance(error, OSError):
        name = str(error.filename or "A file")
        shown = name if len(name) <= LONGEST_PATH_SHOWN else f"{name[:LONGEST_PATH_SHOWN]}…"
        return _one_line(f"{shown}: {error.strerror or error}. Check the path and who may use it.")
    return f"Unforeseen {type(error).__name__}: {_one_line(str(error))} The details are in {_write_details(error)}."


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _write_details(error: BaseException) -> Path:
    lines = traceback.format_exception(error)
    with tempfile.NamedTemporaryFile("w", prefix="groundwork-error-", suffix=".txt", delete=False) as file:
        file.writelines(lines)
    return Path(file.name)
