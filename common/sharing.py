"""One device for several processes of a workspace: long work pauses between two pieces while somebody waits."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform != "win32":  # there everybody works at once, as fast as that goes
    import fcntl

FILE_NAME = "device.lock"

_LOOK_EVERY_S = 0.005


class SharedDevice:
    """Two file locks, which the system lets go of when a process ends, however it ends.

    One is held by who works; the other by those that somebody waits for, before and while they work, so that
    a process doing one piece after the other sees that it should wait.
    """

    def __init__(self, folder: Path) -> None:
        """Args:
        folder: of the workspace whose processes share the device; the lock files are made in it.
        """
        self._working = folder / FILE_NAME
        self._waiting = folder / f"{FILE_NAME}.waiting"

    @contextmanager
    def urgent(self, patience_s: float | None) -> Iterator[None]:
        """Work that somebody waits for: next after the piece at hand, or beside it once patience ends (None: never)."""
        if sys.platform == "win32":
            yield
            return
        with self._waiting.open("a") as waiting, self._working.open("a") as working:
            fcntl.flock(waiting, fcntl.LOCK_SH)
            deadline = None if patience_s is None else time.monotonic() + patience_s
            while not _taken(working) and (deadline is None or time.monotonic() < deadline):
                time.sleep(_LOOK_EVERY_S)
            yield

    @contextmanager
    def piece(self) -> Iterator[None]:
        """A piece of long work: when nobody works and nobody is waited for."""
        if sys.platform == "win32":
            yield
            return
        with self._waiting.open("a") as waiting, self._working.open("a") as working:
            fcntl.flock(waiting, fcntl.LOCK_EX)
            fcntl.flock(waiting, fcntl.LOCK_UN)
            fcntl.flock(working, fcntl.LOCK_EX)
            yield


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
