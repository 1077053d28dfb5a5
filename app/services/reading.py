"""Images decoded and shrunk by other processes, ahead of who uses them."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Self

from common.images import ImageRefused, read_indexed
from engine.preprocessing import AnyPicture, Preprocessing

AHEAD_BYTES = 256_000_000
"""Pixels that wait to be used, at most; one image, however large, is always read ahead."""

_MOST_AHEAD = 64  # images
_PIXEL_BYTES = 3

Read = AnyPicture | ImageRefused


@dataclass(frozen=True)
class Wanted:
    """One indexed image to be read.

    Attributes:
        path: of the original.
        width: upright pixels, as imported.
        height: upright pixels.
        resizing: how to shrink it; None: as it is.
    """

    path: Path
    width: int
    height: int
    resizing: Preprocessing | None = None

    @property
    def bytes(self) -> int:
        """What its pixels take once they are read."""
        height, width = (self.resizing.resized_hw if self.resizing else lambda h, w: (h, w))(self.height, self.width)
        return height * width * _PIXEL_BYTES


def read(wanted: Wanted) -> Read:
    """The image, or why it can't be used."""
    try:
        pixels = read_indexed(wanted.path, wanted.width, wanted.height)
    except ImageRefused as refused:
        return refused
    return wanted.resizing.ahead(pixels) if wanted.resizing else pixels


class Readers:
    """Processes that read images, in the order they are asked for.

    A file that brings its reader down (a fault in a decoder, no memory) is refused like any broken one; the others
    are read by new readers. The processes end when this one does, however it ends.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = self._started()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(cancel_futures=True)  # not waited for, Python 3.11 stumbles over it at its own end

    def read(self, images: Sequence[Wanted]) -> Iterator[Read]:
        """The images one by one, those that follow being read meanwhile."""
        waiting: deque[tuple[Wanted, Future[Read]]] = deque()
        held = 0
        for wanted in images:
            while waiting and (len(waiting) >= _MOST_AHEAD or held + wanted.bytes > AHEAD_BYTES):
                held -= waiting[0][0].bytes
                yield self._next(waiting)
            waiting.append((wanted, self._asked(wanted)))
            held += wanted.bytes
        while waiting:
            yield self._next(waiting)

    def _next(self, waiting: deque[tuple[Wanted, Future[Read]]]) -> Read:
        wanted, future = waiting.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            found = self._read_alone(wanted)
            for place, (other, _) in enumerate(waiting):
                waiting[place] = other, self._asked(other)
            return found

    def _asked(self, wanted: Wanted) -> Future[Read]:
        """The image to come; where the readers are down already, that is what comes."""
        try:
            return self._pool.submit(read, wanted)
        except BrokenProcessPool as error:
            broken: Future[Read] = Future()
            broken.set_exception(error)
            return broken

    def _read_alone(self, wanted: Wanted) -> Read:
        """The image by a new reader; where that one goes down too, it is this image's doing."""
        self._pool = self._started()
        try:
            return self._pool.submit(read, wanted).result()
        except BrokenProcessPool:
            self._pool = self._started()
            return ImageRefused(
                f"{wanted.path.name!r} brings down the program that reads it: save it anew with another program."
            )

    def _started(self) -> ProcessPoolExecutor:
        # Not forked: other threads may hold locks just then. A fresh process loads neither torch nor the database.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=_begin)


def _begin() -> None:
    """A reader leaves Ctrl+C to the process that started it, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
