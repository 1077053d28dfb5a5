"""Who may use the device next: one at a time, the most urgent first."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

from common.sharing import SharedDevice

_LOOK_EVERY = 0.05  # seconds between two looks at whether a wait has become needless


_PATIENCE_S = 2.0
"""A click waits so long for the step of a training run; then both work at once, slower."""


class Urgency(IntEnum):
    """The lower comes first."""

    CLICK = 0  # somebody holds still until the mask is there
    PAGE = 1  # somebody waits for the boxes of the image at hand
    BATCH = 2  # images of a dataset, one batch after the other
    IDLE = 3  # what may be wanted soon


class NoLongerWanted(Exception):
    """Whoever asked has moved on before it was their turn."""


class Turns:
    """A lock whose waiters are served by urgency, and in order where they are equally urgent.

    Other processes that share the device, such as a training run, pause between two pieces while a click or a question
    is answered, and take turns with the rest. A thread that has the turn may take it again. Nobody is interrupted: who
    works long gives the turn back between two pieces, which is when a click gets in.
    """

    def __init__(self, shared: SharedDevice | None = None) -> None:
        """Args:
        shared: with other processes.
        """
        self._shared = shared
        self._changed = threading.Condition()
        self._waiting: list[tuple[Urgency, int]] = []
        self._numbers = count()
        self._owner: int | None = None
        self._depth = 0

    @contextmanager
    def turn(self, urgency: Urgency, is_wanted: Callable[[], bool] | None = None) -> Iterator[None]:
        """Wait for the turn and have it within the `with`.

        Raises:
            NoLongerWanted: `is_wanted` says no before it is their turn.
        """
        self._take(urgency, is_wanted)
        try:
            with self._among_processes(urgency):
                yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._owner = None
                    self._changed.notify_all()

    def _among_processes(self, urgency: Urgency) -> AbstractContextManager[None]:
        """The turn among the processes; a thread that takes it again has it already."""
        if self._shared is None or self._depth > 1:
            return nullcontext()
        return self._shared.urgent(_PATIENCE_S) if urgency <= Urgency.PAGE else self._shared.piece()

    def is_wanted_by(self, urgency: Urgency) -> bool:
        """Whether somebody at least so urgent waits."""
        with self._changed:
            return bool(self._waiting) and self._waiting[0][0] <= urgency

    def _take(self, urgency: Urgency, is_wanted: Callable[[], bool] | None) -> None:
        me = threading.get_ident()
        with self._changed:
            if self._owner != me:
                ticket = (urgency, next(self._numbers))
                heappush(self._waiting, ticket)
                try:
                    self._wait(ticket, is_wanted)
                except BaseException:
                    self._waiting.remove(ticket)
                    self._waiting.sort()
                    self._changed.notify_all()
                    raise
                heappop(self._waiting)
                self._owner = me
            self._depth += 1

    def _wait(self, ticket: tuple[Urgency, int], is_wanted: Callable[[], bool] | None) -> None:
        while self._owner is not None or self._waiting[0] != ticket:
            if is_wanted is not None and not is_wanted():
                raise NoLongerWanted
            self._changed.wait(_LOOK_EVERY if is_wanted is not None else None)
        if is_wanted is not None and not is_wanted():
            raise NoLongerWanted
