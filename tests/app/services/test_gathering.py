import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import pytest

from app.services.gathering import Gathering, IsWanted
from app.services.turns import NoLongerWanted, Turns, Urgency


class Device:
    """Doubles numbers for callers on threads of their own; it can be kept busy, and remembers what went together."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.passes: list[list[int]] = []
        self.gathering: Gathering[int, int] = Gathering(wait_s=0)
        self.pool = ThreadPoolExecutor(8)

    def turn(self, is_wanted: IsWanted) -> AbstractContextManager[None]:
        return self.turns.turn(Urgency.PAGE, is_wanted)

    def double(self, numbers: Sequence[int]) -> list[int]:
        self.passes.append(list(numbers))
        if 13 in numbers:
            raise ValueError("13 brings bad luck")
        return [2 * number for number in numbers]

    def ask(
        self, key: str, *numbers: int, room: int = 8, is_wanted: Callable[[], bool] = lambda: True
    ) -> Future[Sequence[int]]:
        return self.pool.submit(
            self.gathering.ask, key, numbers, self.double, room=room, turn=self.turn, is_wanted=is_wanted
        )

    @contextmanager
    def busy(self, callers: int) -> Iterator[None]:
        """The device is taken until so many callers are in a group or wait for it."""
        with self.turns.turn(Urgency.CLICK):
            yield
            for _ in range(2000):
                if sum(len(group.members) for group in self.gathering._open.values()) >= callers:
                    return
                threading.Event().wait(0.005)
            raise AssertionError("the callers never came")


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device()
    yield device
    device.pool.shutdown()


def test_equal_questions_that_come_while_the_device_is_busy_share_a_pass(device: Device) -> None:
    with device.busy(3):
        waiting = [device.ask("cat", 1), device.ask("cat", 2, 3), device.ask("cat", 4)]
    assert [list(each.result()) for each in waiting] == [[2], [4, 6], [8]]
    assert len(device.passes) == 1
    assert sorted(device.passes[0]) == [1, 2, 3, 4]


def test_other_questions_have_passes_of_their_own(device: Device) -> None:
    with device.busy(2):
        waiting = [device.ask("cat", 1), device.ask("dog", 2)]
    assert [list(each.result()) for each in waiting] == [[2], [4]]
    assert sorted(device.passes) == [[1], [2]]


def test_no_more_go_together_than_there_is_room_for(device: Device) -> None:
    with device.turns.turn(Urgency.CLICK):
        waiting = [device.ask("cat", number, room=2) for number in range(5)]
    assert sorted(number for each in waiting for number in each.result()) == [0, 2, 4, 6, 8]
    assert all(len(each) <= 2 for each in device.passes)
    assert sorted(number for each in device.passes for number in each) == [0, 1, 2, 3, 4]


def test_who_has_moved_on_is_not_worked_for_even_if_it_came_first(device: Device) -> None:
    is_there = threading.Event()
    is_there.set()
    with device.busy(1):
        gone = device.ask("cat", 1, is_wanted=is_there.is_set)
    assert list(gone.result()) == [2]
    device.passes.clear()
    with device.busy(2):
        first = device.ask("cat", 1, is_wanted=is_there.is_set)
        while not device.gathering._open:
            threading.Event().wait(0.005)
        second = device.ask("cat", 5)
        while sum(len(group.members) for group in device.gathering._open.values()) < 2:
            threading.Event().wait(0.005)
        is_there.clear()
        second_alone = device.ask("cat", 6)
    assert list(second.result()) == [10]
    assert list(second_alone.result()) == [12]
    with pytest.raises(NoLongerWanted):
        first.result()
    assert 1 not in [number for each in device.passes for number in each]


def test_where_nobody_waits_any_more_nothing_is_done(device: Device) -> None:
    with device.turns.turn(Urgency.CLICK):
        gone = device.ask("cat", 1, is_wanted=lambda: False)
        with pytest.raises(NoLongerWanted):
            gone.result(timeout=600)
    assert device.passes == []


def test_an_error_reaches_all_that_shared_the_pass_and_nobody_after(device: Device) -> None:
    with device.busy(2):
        waiting = [device.ask("cat", 13), device.ask("cat", 1)]
    for each in waiting:
        with pytest.raises(ValueError, match="bad luck"):
            each.result()
    assert list(device.ask("cat", 4).result()) == [8]
