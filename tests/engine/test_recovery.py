"""A detector on failing devices; the processor's memory really runs out in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch

from engine.detector import Caption
from engine.errors import EngineError
from engine.ontology import Ontology
from engine.preprocessing import AnyPicture, Picture
from engine.recovery import DeviceFailed, RecoveringDetector, failure_of
from tests.tiny_checkpoint import save_tiny_checkpoint

ONTOLOGY = Ontology.from_names(["cat"])
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
GONE = torch.AcceleratorError("CUDA error: unspecified launch failure")


def picture(number: int) -> Picture:
    return np.full((8, 8, 3), number, np.uint8)


class Limited:
    """A detector on a device that has room for so many pictures, or fails otherwise; it says what it was shown."""

    resizing = None
    batch_size = 8

    def __init__(self, device: str, room: int, failure: BaseException = FULL, sparing_room: int | None = None) -> None:
        self.name, self.device = "limited", device
        self.room, self.failure = room, failure
        self.sparing_room = room if sparing_room is None else sparing_room
        self.asked: list[int] = []

    def look(self, images: Sequence[AnyPicture]) -> None:
        self._shown(images)

    def spare_memory(self) -> None:
        self.room = self.sparing_room

    def detect(self, images: Sequence[AnyPicture], ontology: Ontology, **_more: Any) -> list[sv.Detections]:
        return self._shown(images)

    def ground(self, images: Sequence[AnyPicture], captions: Sequence[str | Caption], **_: Any) -> list[sv.Detections]:
        assert len(images) == len(captions)
        return self._shown(images)

    def refer(self, images: Sequence[AnyPicture], expressions: Sequence[str], **_: Any) -> list[sv.Detections]:
        assert len(images) == len(expressions)
        return self._shown(images)

    def _shown(self, images: Sequence[AnyPicture]) -> list[sv.Detections]:
        self.asked.append(len(images))
        if len(images) > self.room:
            raise self.failure
        boxes = [np.array([[0, 0, 1, float(np.asarray(image)[0, 0, 0])]], np.float32) for image in images]
        return [sv.Detections(xyxy=box, class_id=np.zeros(1, int), confidence=np.ones(1, np.float32)) for box in boxes]


def recovering(**devices: Limited) -> RecoveringDetector:
    """Begins on `auto`."""
    return RecoveringDetector(lambda device: devices[device])


def numbers(found: Sequence[sv.Detections]) -> list[int]:
    return [int(each.xyxy[0, 3]) for each in found]


def test_pictures_are_halved_until_memory_suffices_and_asked_for_so_from_then_on() -> None:
    gpu = Limited("cuda", room=3)
    detector = recovering(auto=gpu)
    pictures = [picture(number) for number in range(11)]
    assert numbers(detector.detect(pictures, ONTOLOGY)) == list(range(11))
    assert gpu.asked == [11, 5, 2, 2, 1, 2, 2, 1, 1]
    assert detector.batch_size == 2
    gpu.asked.clear()
    assert numbers(detector.detect(pictures[:4], ONTOLOGY)) == [0, 1, 2, 3]
    assert gpu.asked == [2, 2]
    assert detector.notes == [
        "Memory does not suffice for 11 images at once: 5 from now on.",
        "Memory does not suffice for 5 images at once: 2 from now on.",
    ]


def test_each_picture_keeps_its_own_text_where_they_are_halved() -> None:
    detector = recovering(auto=Limited("cuda", room=1))
    pictures = [picture(number) for number in range(3)]
    assert numbers(detector.ground(pictures, ["a cat", "a dog", "a bird"])) == [0, 1, 2]
    assert numbers(detector.refer(pictures, ["a cat", "a dog", "a bird"])) == [0, 1, 2]
    with pytest.raises(EngineError, match="3 pictures came with 2 texts"):
        detector.refer(pictures, ["a cat", "a dog"])


def test_where_one_picture_is_too_much_nothing_is_kept_any_more() -> None:
    gpu = Limited("cuda", room=0, sparing_room=1)
    detector = recovering(auto=gpu)
    assert numbers(detector.detect([picture(7)], ONTOLOGY)) == [7]
    assert detector.device == "cuda"
    assert detector.notes == ["Memory is short: nothing is kept for the next prompt from now on."]


def test_where_the_device_never_suffices_the_processor_does_it() -> None:
    cpu = Limited("cpu", room=100)
    detector = recovering(auto=Limited("cuda", room=0), cpu=cpu)
    assert numbers(detector.detect([picture(number) for number in range(4)], ONTOLOGY)) == [0, 1, 2, 3]
    assert detector.device == "cpu"
    assert detector.batch_size == 8
    assert detector.notes[-1] == (
        "The device has not the memory for one image: the detector goes on on the processor, slower."
    )


def test_a_device_that_disappears_is_replaced_by_the_processor_without_an_answer_lost() -> None:
    gpu = Limited("cuda", room=2)
    detector = recovering(auto=gpu, cpu=Limited("cpu", room=100))
    assert numbers(detector.detect([picture(1)], ONTOLOGY)) == [1]
    gpu.room, gpu.failure = 0, GONE
    assert numbers(detector.detect([picture(2), picture(3)], ONTOLOGY)) == [2, 3]
    assert detector.device == "cpu"
    assert detector.notes == [
        "The device of the detector does not answer any more: it goes on on the processor, slower."
    ]


def test_a_processor_without_memory_for_one_picture_says_so() -> None:
    detector = recovering(auto=Limited("cpu", room=0))
    with pytest.raises(DeviceFailed, match="Memory does not suffice for one image"):
        detector.detect([picture(1), picture(2)], ONTOLOGY)


def test_a_look_ahead_that_does_not_fit_is_left_out() -> None:
    detector = recovering(auto=Limited("cuda", room=0))
    detector.look([picture(1)])
    assert detector.notes == []


def test_another_error_is_not_taken_for_a_failing_device() -> None:
    detector = recovering(auto=Limited("cuda", room=0, failure=RuntimeError("shapes do not match")))
    with pytest.raises(RuntimeError, match="shapes"):
        detector.detect([picture(1)], ONTOLOGY)
    assert detector.notes == []


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (FULL, "memory"),
        (MemoryError(), "memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."), "memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.98 GB)"), "memory"),
        (torch.AcceleratorError("CUDA error: out of memory"), "memory"),
        (GONE, "lost"),
        (RuntimeError("CUDA error: device-side assert triggered"), "lost"),
        (RuntimeError("No CUDA GPUs are available"), "lost"),
        (ValueError("out of memory"), None),
    ],
)
def test_what_errors_say_of_the_device(error: BaseException, failure: str | None) -> None:
    assert failure_of(error) == failure


SHORT_OF_MEMORY = """
import json, resource, sys
from pathlib import Path
import numpy as np
import torch
from common.boxes import iou
from engine.checkpoints import load_detector
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from engine.preprocessing import Preprocessing
from engine.recovery import RecoveringDetector

torch.set_num_threads(1)
small = load_detector(Path(sys.argv[1]), device="cpu")
sizes = Preprocessing(512, 512)
ontology = Ontology.from_names(["cat", "dog"])
pictures = list(np.random.default_rng(0).integers(0, 255, (24, 512, 512, 3), np.uint8))
expected = GroundingDetector(small.model, small.tokenizer, sizes, batch_size=1).detect(pictures, ontology)
many = RecoveringDetector(lambda device: GroundingDetector(small.model, small.tokenizer, sizes, batch_size=24))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]), resource.RLIM_INFINITY))
found = many.detect(pictures, ontology)
rows = []
for a, b in zip(found, expected, strict=True):
    alike = (iou(a.xyxy, b.xyxy) >= 0.99) & (a.class_id[:, None] == b.class_id)
    rows.append([len(a), int(alike.any(1).sum()), len(b), int(alike.any(0).sum())])
print(json.dumps({"notes": many.notes, "batch": many.batch_size, "rows": rows}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_a_batch_that_does_not_fit_into_this_machines_memory_is_done_in_parts(tmp_path: Path) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "tiny")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    room = str(300 * 2**20)
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY, checkpoint, room], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert len(document["rows"]) == 24
    for count, shared, count_alone, shared_alone in document["rows"]:
        # Other batches round otherwise, which a score beside the threshold and one beside the last of all feel.
        assert abs(count - count_alone) <= 2
        assert shared >= 0.9 * count and shared_alone >= 0.9 * count_alone
    assert document["batch"] < 24
    assert "Memory does not suffice for 24 images at once" in document["notes"][0]
