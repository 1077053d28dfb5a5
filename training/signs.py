"""Signs of life to the outside and wishes to stop from it."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from uuid import UUID

from annotations import runs
from annotations.database import Store
from annotations.errors import AnnotationsError

HEARTBEAT_S = 5.0

_log = logging.getLogger(__name__)


@contextmanager
def heartbeat(store: Store, run_id: UUID, period_s: float = HEARTBEAT_S) -> Iterator[threading.Event]:
    """Within the block the run's row says every few seconds that it is alive.

    Yields:
        An event that is set when the row says "stopped": someone wants the run to end.
    """
    stopped, over = threading.Event(), threading.Event()

    def beat() -> None:
        while not over.wait(period_s):
            try:
                with store.writing() as session:
                    state = runs.heartbeat(session, run_id)
            except AnnotationsError as error:  # a busy database must not end hours of training
                _log.warning("No sign of life: %s", error)
                continue
            if state == "stopped":
                stopped.set()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield stopped
    finally:
        over.set()
        thread.join()


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Within the block SIGTERM and the first Ctrl+C set the event instead of ending the process.

    Outside the main thread, where Python handles no signals, the event is never set.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    earlier = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, earlier[signal.Signals(number)])  # the second one is meant

    for number in earlier:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
