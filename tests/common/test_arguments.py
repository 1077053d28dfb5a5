import argparse
from collections.abc import Callable

import pytest

from common.arguments import fraction, natural, port, positive


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(port, "0", 0), (positive, "1", 1), (natural, "0", 0), (natural, "4294967295", 2**32 - 1), (fraction, "0.5", 0.5)],
)
def test_what_is_in_range_is_read(kind: Callable[[str], float], text: str, value: float) -> None:
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (port, "65536", "not between 0 and 65,535"),
        (positive, "0", "not between 1 and"),
        (positive, "two", "'two' is not a whole number"),
        (natural, "-1", "not between 0 and"),
        (natural, "1.5", "'1.5' is not a whole number"),
        (fraction, "1.01", "not between 0 and 1"),
        (fraction, "nan", "not between 0 and 1"),
    ],
)
def test_anything_else_is_refused_in_a_line(kind: Callable[[str], float], text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=said):
        kind(text)
