"""What was made lately, kept within a bound of bytes."""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

import numpy as np

from engine.preprocessing import Picture

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """The values used last, as many as fit into `limit` bytes; who uses it from several threads locks it.

    Attributes:
        limit: in bytes; with 0 nothing is kept.
        size: bytes kept now.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """The value, which is now the one used last; None where there is none."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep a value of so many bytes; those used longest ago go, and one larger than the limit is not kept."""
        if key in self._values:
            self.size -= self._values.pop(key)[1]
        if size > self.limit:
            return
        while self.size + size > self.limit:
            self.size -= self._values.popitem(last=False)[1][1]
        self._values[key] = value, size
        self.size += size

    def clear(self) -> None:
        """Keep nothing of what was made so far."""
        self._values.clear()
        self.size = 0


def key_of(picture: Picture) -> bytes:
    """Equal for pictures of equal pixels."""
    digest = hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=16)
    digest.update(str(picture.shape).encode())
    return digest.digest()
