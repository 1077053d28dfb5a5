import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.services import reading
from app.services.reading import Readers, Wanted, read
from common.images import ImageRefused, read_image
from engine.preprocessing import Preprocessing, Resized

SMALL = Preprocessing(48, 80)


@pytest.fixture
def wanted(tmp_path: Path) -> list[Wanted]:
    """Seven noisy pictures of 90 x 60 px, the third of them truncated."""
    rng = np.random.default_rng(0)
    images = []
    for index in range(7):
        path = tmp_path / f"{index}.png"
        Image.fromarray(rng.integers(0, 255, (60, 90, 3), np.uint8)).save(path)
        images.append(Wanted(path, 90, 60, SMALL))
    broken = images[2].path
    broken.write_bytes(broken.read_bytes()[:400])
    return images


def test_images_come_in_order_resized_and_a_broken_one_with_its_reason(wanted: list[Wanted]) -> None:
    with Readers(2) as readers:
        found = list(readers.read(wanted))
    assert isinstance(found[2], ImageRefused)
    assert "damaged or incomplete" in str(found[2])
    for place, image in enumerate(found):
        if place != 2:
            assert isinstance(image, Resized)
            assert image.shape == (60, 90, 3)
            np.testing.assert_array_equal(image.pixels, SMALL.resize(read_image(wanted[place].path)))


def test_an_image_is_whole_where_no_size_is_wanted(wanted: list[Wanted]) -> None:
    image = read(Wanted(wanted[0].path, 90, 60))
    assert isinstance(image, np.ndarray)
    np.testing.assert_array_equal(image, read_image(wanted[0].path))


def test_no_more_pixels_wait_than_there_is_room_for(wanted: list[Wanted], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AHEAD_BYTES", 2 * wanted[0].bytes)
    asked = 0

    class Counted(list[Wanted]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            nonlocal asked
            for one in super().__iter__():
                asked += 1
                yield one

    with Readers(1) as readers:
        for place, _ in enumerate(readers.read(Counted(wanted))):
            assert asked <= place + 3  # the one given out, two that wait
    assert asked == 7


def test_an_image_that_brings_its_reader_down_is_refused_and_the_others_are_read(wanted: list[Wanted]) -> None:
    deadly = Deadly(wanted[3].path, 90, 60, SMALL)
    with Readers(2) as readers:
        found = list(readers.read([*wanted[:2], deadly, *wanted[4:]]))
    assert isinstance(found[2], ImageRefused)
    assert "brings down the program that reads it" in str(found[2])
    assert all(isinstance(image, Resized) for image in (*found[:2], *found[3:]))


def test_readers_that_went_down_meanwhile_are_started_again(wanted: list[Wanted]) -> None:
    with Readers(1) as readers:
        with pytest.raises(BrokenProcessPool):
            readers._pool.submit(read, Deadly(wanted[3].path, 90, 60, SMALL)).result()
        found = list(readers.read(wanted[:2]))
    assert [type(image) for image in found] == [Resized] * 2


class Deadly(Wanted):
    """Ends the process that reads it, as a fault in a decoder does."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _Falling, (self.path,)


class _Falling:
    def __init__(self, path: Path) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


PARENT = """
import sys, time
from pathlib import Path
from app.services.reading import Readers, Wanted
if __name__ == "__main__":
    with Readers(2) as readers:
        found = list(readers.read([Wanted(Path(sys.argv[1]), 90, 60)] * 4))
        print(*readers._pool._processes, flush=True)
        time.sleep(60)
"""


def test_readers_end_with_the_process_that_started_them(wanted: list[Wanted], tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(Path(reading.__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, script, wanted[0].path], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        readers = [int(pid) for pid in parent.stdout.readline().split()]
        assert readers
        parent.kill()
    deadline = time.monotonic() + 600
    while any(is_running(pid) for pid in readers):
        assert time.monotonic() < deadline, "the readers outlive their parent"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
