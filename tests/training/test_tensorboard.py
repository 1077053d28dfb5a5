import struct
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event

from training.tensorboard import Curves

LINES: list[dict[str, Any]] = [
    {"step": 0, "steps": 4, "event": "note", "note": "Few images."},
    {"step": 0, "steps": 4, "event": "evaluation", "AP": 0.25, "AP50": 0.5, "AP_novel": None, "seconds": 1.0},
    {"step": 1, "steps": 4, "loss": 3.0, "losses": {"class_0": 1.0, "l1_0": 2.0}, "learning_rate": 0.5, "seconds": 2.0},
    {
        "step": 2,
        "steps": 4,
        "loss": 1.5,
        "losses": {"class_0": 0.5, "l1_0": 1.0},
        "learning_rate": 0.25,
        "seconds": 4.0,
    },
]


def events(run_folder: Path) -> list[tuple[int, str, float, float]]:
    """(step, curve, value, wall time) of every event, by the format of TensorFlow's record files."""
    found = []
    for path in sorted((run_folder / "tensorboard").iterdir()):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            event = Event.FromString(data[place + 12 : place + 12 + length])  # 8 of the length, 4 of its checksum
            found += [(event.step, value.tag, value.simple_value, event.wall_time) for value in event.summary.value]
            place += 16 + length
    return found


def test_losses_learning_rate_and_measures_are_curves(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    curves.begin()
    for line in LINES:
        curves.add(line)
    assert [event[:3] for event in events(tmp_path)] == [
        (0, "evaluation/AP", 0.25),
        (0, "evaluation/AP50", 0.5),
        (1, "loss", 3.0),
        (1, "learning_rate", 0.5),
        (1, "losses/class_0", 1.0),
        (1, "losses/l1_0", 2.0),
        (2, "loss", 1.5),
        (2, "learning_rate", 0.25),
        (2, "losses/class_0", 0.5),
        (2, "losses/l1_0", 1.0),
    ]
    curves.close()


def test_a_run_that_goes_on_has_each_step_once_and_its_times_in_order(tmp_path: Path) -> None:
    first = Curves(tmp_path)
    first.begin()
    for line in LINES:
        first.add(line)
    again = Curves(tmp_path)  # the first was killed after step 2, the last saved state is of step 1
    again.begin(LINES[:3])
    again.add(LINES[3])
    again.close()
    found = events(tmp_path)
    assert [step for step, curve, _, _ in found if curve == "loss"] == [1, 2]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1
    times = [time for *_, time in found]
    assert times == sorted(times)
    assert found[2][3] - found[0][3] == pytest.approx(1.0, abs=1e-3)
    first.close()
