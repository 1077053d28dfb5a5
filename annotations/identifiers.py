"""Ids for rows made many at a time."""

from collections.abc import Iterator
from uuid import UUID, uuid4

_COUNTER_BITS = 48


def ordered_uuids() -> Iterator[UUID]:
    """Random ids that ascend: rows made together keep their order, and lie together in the index."""
    first = uuid4().int >> _COUNTER_BITS << _COUNTER_BITS  # version and variant stand in the upper bits
    number = 0
    while True:
        yield UUID(int=first | number)
        number += 1
