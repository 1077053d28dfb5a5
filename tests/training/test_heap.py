"""Memory that is kept once it was had."""

import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource
import numpy as np
from training.heap import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        np.ones(12 * 2**20)  # 96 MB, too much for what glibc keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), keep_freed_memory(), faults(), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's memory")
def test_the_same_pages_are_not_faulted_in_again() -> None:
    said = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True).stdout.split()
    before, can, first, again = said
    assert can == "True"
    assert int(before) > 4 * int(again)
    assert int(again) < int(first)
