"""Order of waiters, on real threads."""

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from app.services.turns import NoLongerWanted, Turns, Urgency
from common.sharing import SharedDevice


def waiting(turns: Turns, number: int) -> None:
    """Return when so many wait."""
    deadline = time.monotonic() + 600
    while len(turns._waiting) < number:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_the_most_urgent_comes_first_and_equals_in_order() -> None:
    turns, served = Turns(), []
    asked = [
        (Urgency.BATCH, "batch 1"),
        (Urgency.PAGE, "page"),
        (Urgency.IDLE, "idle"),
        (Urgency.BATCH, "batch 2"),
        (Urgency.CLICK, "click"),
    ]

    def work(urgency: Urgency, name: str) -> None:
        with turns.turn(urgency):
            served.append(name)

    threads = []
    with turns.turn(Urgency.BATCH):
        for number, (urgency, name) in enumerate(asked, start=1):
            threads.append(started(partial(work, urgency, name)))
            waiting(turns, number)
    for thread in threads:
        thread.join(600)
    assert served == ["click", "page", "batch 1", "batch 2", "idle"]


def test_one_at_a_time() -> None:
    turns, inside, most = Turns(), 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with turns.turn(Urgency.PAGE):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.0001)
                with lock:
                    inside -= 1

    for thread in [started(work) for _ in range(6)]:
        thread.join(600)
    assert most == 1


def test_a_click_gets_in_between_two_pieces_of_a_batch() -> None:
    turns, served = Turns(), []

    def click() -> None:
        with turns.turn(Urgency.CLICK):
            served.append("click")

    for piece in range(3):
        with turns.turn(Urgency.BATCH):
            served.append(f"piece {piece}")
            if piece == 0:
                thread = started(click)
                waiting(turns, 1)
                assert turns.is_wanted_by(Urgency.PAGE)
    thread.join(600)
    assert served == ["piece 0", "click", "piece 1", "piece 2"]


def test_who_has_the_turn_may_take_it_again() -> None:
    turns = Turns()
    with turns.turn(Urgency.PAGE), turns.turn(Urgency.CLICK):
        assert not turns.is_wanted_by(Urgency.IDLE)
    with turns.turn(Urgency.PAGE):
        pass


def test_who_has_moved_on_waits_no_longer_and_blocks_nobody() -> None:
    turns, wanted = Turns(), threading.Event()
    wanted.set()
    refused = threading.Event()

    def page() -> None:
        with pytest.raises(NoLongerWanted), turns.turn(Urgency.PAGE, wanted.is_set):
            pass
        refused.set()

    with turns.turn(Urgency.BATCH):
        thread = started(page)
        waiting(turns, 1)
        wanted.clear()
        assert refused.wait(600)
    thread.join(600)
    with turns.turn(Urgency.IDLE):
        pass


def test_who_moves_on_at_the_last_moment_does_not_take_the_turn() -> None:
    turns = Turns()
    is_wanted = threading.Event()
    is_wanted.set()
    moved_on = threading.Event()

    def wait() -> None:
        try:
            with turns.turn(Urgency.IDLE, is_wanted.is_set):
                raise AssertionError("nobody wanted this")
        except NoLongerWanted:
            moved_on.set()

    with turns.turn(Urgency.CLICK):
        waiting = threading.Thread(target=wait)
        waiting.start()
        while not turns.is_wanted_by(Urgency.IDLE):
            pass
        is_wanted.clear()
    waiting.join()
    assert moved_on.is_set()


def test_a_failure_gives_the_turn_back() -> None:
    turns = Turns()
    with pytest.raises(KeyError), turns.turn(Urgency.PAGE):
        raise KeyError
    done = threading.Event()

    def work() -> None:
        with turns.turn(Urgency.IDLE):
            done.set()

    started(work).join(600)
    assert done.is_set()


def test_a_turn_is_also_one_among_the_processes_and_is_taken_once_however_deep(tmp_path: Path) -> None:
    mine, others = Turns(SharedDevice(tmp_path)), SharedDevice(tmp_path)
    got_in = threading.Event()

    def work() -> None:
        with others.piece():
            got_in.set()

    for urgency in Urgency:
        got_in.clear()
        waiting = threading.Thread(target=work)
        with mine.turn(urgency):
            with mine.turn(Urgency.CLICK):
                waiting.start()
                assert not got_in.wait(0.05)
            assert not got_in.wait(0.05)
        waiting.join(600)
        assert got_in.is_set()
