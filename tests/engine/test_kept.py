from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from engine.kept import Kept


def test_the_value_used_longest_ago_goes_first() -> None:
    kept: Kept[str, int] = Kept(10)
    kept.put("a", 1, 4)
    kept.put("b", 2, 4)
    assert kept.get("a") == 1
    kept.put("c", 3, 4)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)


def test_a_value_larger_than_the_limit_is_not_kept_and_drives_nothing_out() -> None:
    kept: Kept[str, int] = Kept(10)
    kept.put("a", 1, 10)
    kept.put("b", 2, 11)
    assert kept.get("a") == 1
    assert kept.get("b") is None


def test_nothing_is_kept_within_no_bytes() -> None:
    kept: Kept[str, int] = Kept(0)
    kept.put("a", 1, 1)
    assert len(kept) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=30))
def test_it_holds_the_last_values_that_fit(puts: list[tuple[int, int]]) -> None:
    kept: Kept[int, int] = Kept(12)
    model: OrderedDict[int, int] = OrderedDict()
    for key, size in puts:
        kept.put(key, key, size)
        model.pop(key, None)
        while sum(model.values()) + size > 12:
            model.popitem(last=False)
        model[key] = size
        assert kept.size == sum(model.values()) <= 12
        assert len(kept) == len(model)
    for key in range(6):
        assert kept.get(key) == (key if key in model else None)


def test_clearing_frees_all() -> None:
    kept: Kept[int, int] = Kept(12)
    kept.put(1, 1, 5)
    kept.clear()
    assert (len(kept), kept.size, kept.get(1)) == (0, 0, None)
