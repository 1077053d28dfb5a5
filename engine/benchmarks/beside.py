"""Two ways to do one thing, timed in turns."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds and result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def in_turns(ways: Sequence[Callable[[], object]], times: int) -> list[float]:
    """The median seconds of each way; they take turns, so that a slow minute of the machine meets all alike."""
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(times):
        for way, found in zip(ways, seconds, strict=True):
            found.append(timed(way)[0])
    return [statistics.median(found) for found in seconds]
