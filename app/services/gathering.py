"""Equal questions of several people, or of one program, answered by one pass (dynamic batching)."""

import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.services.turns import NoLongerWanted

WAIT_S = 0.01
"""The first of a group waits so long for others, where there is room for them."""

_LOOK_EVERY_S = 0.05  # at whether an answer is still wanted

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
IsWanted = Callable[[], bool]
Turn = Callable[[IsWanted], AbstractContextManager[None]]


@dataclass(eq=False)
class _Member(Generic[Asked, Answer]):
    """One caller of a group."""

    asked: Sequence[Asked]
    is_wanted: IsWanted
    answers: Sequence[Answer] | None = None


@dataclass(eq=False)
class _Group(Generic[Asked, Answer]):
    """Callers that are answered together; the first of them does it."""

    members: list[_Member[Asked, Answer]] = field(default_factory=list)
    is_done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    @property
    def size(self) -> int:
        return sum(len(member.asked) for member in self.members)

    def is_wanted(self) -> bool:
        return any(member.is_wanted() for member in self.members)


class Gathering(Generic[Asked, Answer]):
    """Callers with one key that come within `wait_s`, or while the device is busy, share a pass.

    Whoever comes first waits for the device and works for all; nobody waits for others where there is room for one.
    """

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._open: dict[Hashable, _Group[Asked, Answer]] = {}

    def ask(
        self,
        key: Hashable,
        asked: Sequence[Asked],
        work: Callable[[Sequence[Asked]], Sequence[Answer]],
        *,
        room: int,
        turn: Turn,
        is_wanted: IsWanted,
    ) -> Sequence[Answer]:
        """The answers to what is asked.

        Args:
            key: equal for those that may share a pass.
            asked: one or more.
            work: answers all that it is given, in order; whose is used of equal callers is left open.
            room: at most so many go together.
            turn: waits for the device, as long as the function it is given says that somebody wants it.
            is_wanted: whether this caller still waits.

        Raises:
            NoLongerWanted: `is_wanted` said no before the pass.
            Exception: what `work` raises, to each of the callers.
        """
        me = _Member[Asked, Answer](asked, is_wanted)
        with self._changed:
            group = self._open.get(key)
            is_first = group is None or group.size + len(asked) > room
            if group is None or is_first:
                group = self._open[key] = _Group()
            group.members.append(me)
            self._changed.notify_all()
        if is_first:
            self._work(key, group, work, room, turn)
        else:
            while not group.is_done.wait(_LOOK_EVERY_S) and is_wanted():
                pass
        if group.error is not None and not isinstance(group.error, NoLongerWanted):
            raise group.error
        if me.answers is not None:
            return me.answers
        if not is_wanted():
            raise NoLongerWanted
        # Joined just when the others had all moved on: begin anew.
        return self.ask(key, asked, work, room=room, turn=turn, is_wanted=is_wanted)

    def _work(
        self,
        key: Hashable,
        group: _Group[Asked, Answer],
        work: Callable[[Sequence[Asked]], Sequence[Answer]],
        room: int,
        turn: Turn,
    ) -> None:
        """Answer the group, whoever of it still waits."""
        try:
            with self._changed:
                self._changed.wait_for(lambda: group.size >= room, self._wait_s if room > 1 else 0)
            with turn(group.is_wanted):
                self._close(key, group)
                members = [member for member in group.members if member.is_wanted()]
                if members:
                    answers = work([one for member in members for one in member.asked])
                    for member in members:
                        member.answers, answers = answers[: len(member.asked)], answers[len(member.asked) :]
        except BaseException as error:  # raised again by each of the callers
            group.error = error
        finally:
            self._close(key, group)
            group.is_done.set()

    def _close(self, key: Hashable, group: _Group[Asked, Answer]) -> None:
        """Nobody joins the group any more."""
        with self._changed:
            if self._open.get(key) is group:
                del self._open[key]
