import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import sharing
from common.sharing import SharedDevice

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the file locks of Unix")

LONG_WORK = """
import sys, time
from pathlib import Path
from common.sharing import SharedDevice
folder = Path(sys.argv[1])
device = SharedDevice(folder)
while True:
    with device.piece(), (folder / "pieces").open("a") as pieces:
        time.sleep(0.01)
        pieces.write(".")
"""


def pieces(folder: Path) -> int:
    """How many pieces of the long work are done."""
    file = folder / "pieces"
    return file.stat().st_size if file.exists() else 0


@pytest.fixture
def long_work(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that does one piece after the other; some are done."""
    environment = {**os.environ, "PYTHONPATH": str(Path(sharing.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", LONG_WORK, tmp_path], env=environment)
    wait_for_more(tmp_path, process)
    yield process
    process.kill()
    process.wait()


def wait_for_more(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    before = pieces(folder)
    while pieces(folder) == before:
        assert process.poll() is None
        time.sleep(0.01)


def test_long_work_pauses_while_somebody_is_waited_for(tmp_path: Path, long_work: "subprocess.Popen[bytes]") -> None:
    device = SharedDevice(tmp_path)
    for _ in range(5):
        with device.urgent(patience_s=None):
            before = pieces(tmp_path)
            time.sleep(0.1)  # ten pieces
            assert pieces(tmp_path) == before
        wait_for_more(tmp_path, long_work)


def test_two_that_work_piece_by_piece_take_turns(tmp_path: Path, long_work: "subprocess.Popen[bytes]") -> None:
    device = SharedDevice(tmp_path)
    for _ in range(3):
        with device.piece():
            before = pieces(tmp_path)
            time.sleep(0.05)
            assert pieces(tmp_path) == before
        wait_for_more(tmp_path, long_work)


def test_patience_ends_and_both_work_at_once(tmp_path: Path) -> None:
    with SharedDevice(tmp_path).piece(), SharedDevice(tmp_path).urgent(patience_s=0.05):
        pass


def test_a_process_that_is_killed_at_work_blocks_nobody(tmp_path: Path, long_work: "subprocess.Popen[bytes]") -> None:
    long_work.kill()
    long_work.wait()
    with SharedDevice(tmp_path).urgent(patience_s=None):
        pass
    with SharedDevice(tmp_path).piece():
        pass
