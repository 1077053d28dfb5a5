import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.ordering import OrderedWriter, batches_by_kind

KINDS = st.lists(st.integers(0, 3), max_size=40)


@given(KINDS, st.integers(1, 5), st.integers(1, 4))
def test_batches_hold_every_item_once_of_one_kind_each_and_in_order(kinds: list[int], size: int, batches: int) -> None:
    items = list(enumerate(kinds))
    found = list(batches_by_kind(items, lambda item: item[1], size, size * batches))
    assert sorted(item for batch in found for item in batch) == items
    for kind in set(kinds):
        own = [batch for batch in found if batch[0][1] == kind]
        assert [item for batch in own for item in batch] == [item for item in items if item[1] == kind]
    for batch in found:
        assert len({kind for _, kind in batch}) == 1
        assert len(batch) <= size


@given(KINDS, st.integers(1, 5), st.integers(1, 4))
def test_no_item_waits_for_more_than_the_window(kinds: list[int], size: int, batches: int) -> None:
    window = size * batches
    taken = 0

    def counted() -> Iterator[tuple[int, int]]:
        nonlocal taken
        for item in enumerate(kinds):
            taken += 1
            yield item

    given_out = 0
    for batch in batches_by_kind(counted(), lambda item: item[1], size, window):
        assert taken - given_out <= window
        given_out += len(batch)


def test_finished_items_are_saved_in_order_whatever_order_they_come_in() -> None:
    saved: list[int] = []
    with OrderedWriter[int](saved.extend) as writer:
        for number in (2, 0, 3, 1, 4):
            writer.put(number, number * 10)
    assert saved == [0, 10, 20, 30, 40]


def test_what_waits_behind_a_gap_is_saved_at_the_end() -> None:
    saved: list[int] = []
    with OrderedWriter[int](saved.extend) as writer:
        for number in (5, 0, 3):
            writer.put(number, number)
    assert saved == [0, 3, 5]


def test_what_is_finished_while_another_piece_is_saved_goes_together() -> None:
    pieces: list[Sequence[int]] = []
    is_saving, may_go_on = threading.Event(), threading.Event()

    def save(piece: Sequence[int]) -> None:
        pieces.append(piece)
        is_saving.set()
        may_go_on.wait(600)

    with OrderedWriter[int](save) as writer:
        writer.put(0, 0)
        assert is_saving.wait(600)
        for number in (1, 2, 3):
            writer.put(number, number)
        may_go_on.set()
    assert pieces == [[0], [1, 2, 3]]


def test_an_error_while_saving_reaches_who_puts_and_nothing_is_saved_after_it() -> None:
    pieces: list[Sequence[int]] = []
    failed = threading.Event()

    def save(piece: Sequence[int]) -> None:
        pieces.append(piece)
        failed.set()
        raise OSError("The disk is full.")

    with pytest.raises(OSError, match="full"), OrderedWriter[int](save) as writer:
        writer.put(0, 0)
        assert failed.wait(600)
        for number in range(1, 1000):
            writer.put(number, number)
    assert pieces == [[0]]


def test_an_error_while_saving_the_last_piece_is_raised_at_the_end() -> None:
    def save(piece: Sequence[int]) -> None:
        raise OSError("The disk is full.")

    with pytest.raises(OSError, match="full"), OrderedWriter[int](save) as writer:
        writer.put(0, 0)
