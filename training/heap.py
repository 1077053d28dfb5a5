"""Memory of this process that tensors leave behind, kept for the next ones."""

import ctypes
import sys

# <malloc.h> of glibc
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD = 64 * 2**20  # bytes that the heap grows by at least


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed until the process ends; False where there is no glibc.

    By itself it returns every block of more than 32 MB to the system, and smaller ones at the heap's end; a step on a
    CPU then waits for the same pages once more, zeroed one by one: up to a sixth of the starter's (docs/log.md).
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    wanted = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _PAD))
    return all(mallopt(option, value) == 1 for option, value in wanted)
