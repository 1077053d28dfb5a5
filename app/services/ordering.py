"""Work that is done out of order, for speed, and kept in order."""

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


def batches_by_kind(
    items: Iterable[Item], kind: Callable[[Item], Hashable], size: int, window: int
) -> Iterator[list[Item]]:
    """Batches of one kind each, `size` items at most, each kind in order.

    Items wait for others of their kind; when `window` of them wait, those go that the oldest belongs to.
    """
    waiting: dict[Hashable, list[tuple[int, Item]]] = {}  # by kind, with the place in the whole
    count = 0
    for place, item in enumerate(items):
        own = waiting.setdefault(kind(item), [])
        own.append((place, item))
        count += 1
        if len(own) < size and count < window:
            continue
        chosen = own if len(own) >= size else min(waiting.values(), key=lambda group: group[0][0])
        yield _taken(waiting, chosen)
        count -= len(chosen)
    while waiting:
        yield _taken(waiting, min(waiting.values(), key=lambda group: group[0][0]))


def _taken(waiting: dict[Hashable, list[tuple[int, Item]]], chosen: list[tuple[int, Item]]) -> list[Item]:
    kind = next(kind for kind, group in waiting.items() if group is chosen)
    del waiting[kind]
    return [item for _, item in chosen]


class OrderedWriter(Generic[Item]):
    """Hands finished items to `save` on a thread of its own, by their number and without a gap.

    As many as are there go at once, so that slow storage makes larger pieces instead of a longer wait. At the end
    what is left goes too, behind gaps as well. An error of `save` is raised to who puts, or at the end.
    """

    def __init__(self, save: Callable[[Sequence[Item]], None]) -> None:
        self._save = save
        self._queue: SimpleQueue[tuple[int, Item] | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def put(self, number: int, item: Item) -> None:
        """Item `number`, from 0, is finished."""
        if self._error is not None:
            raise self._error
        self._queue.put((number, item))

    def _run(self) -> None:
        finished: dict[int, Item] = {}
        following = 0
        is_open = True
        while is_open:
            for entry in self._arrived():
                if entry is None:
                    is_open = False
                else:
                    finished[entry[0]] = entry[1]
            ready = []
            while following in finished:
                ready.append(finished.pop(following))
                following += 1
            if not is_open:
                ready += [finished[number] for number in sorted(finished)]
            if ready and self._error is None:
                self._try(ready)

    def _arrived(self) -> list[tuple[int, Item] | None]:
        """What is in the queue, at least one entry."""
        entries = [self._queue.get()]
        while True:
            try:
                entries.append(self._queue.get_nowait())
            except Empty:
                return entries

    def _try(self, ready: Sequence[Item]) -> None:
        try:
            self._save(ready)
        except BaseException as error:  # raised again where somebody hears it
            self._error = error
