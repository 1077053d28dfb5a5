"""The folder of one training run: what was asked, on which labels, how far it is."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.publish import published_file
from training.config import TrainConfig
from training.errors import JobRefused
from training.material import Material, load_material, save_material


@dataclass(frozen=True)
class Plan:
    """All that a run needs to start, and to start again: written once, never changed.

    Attributes:
        name: of the checkpoint to make.
        detector: what people call the detector it starts from.
        source: where that detector's weights are: "starter", a folder or a hub id.
        device: as in `engine.devices.pick_device`.
        config: every setting.
        left_out: ids of images whose files could not be used.
        notes: what the person was told before the run began.
    """

    name: str
    detector: str
    source: str
    device: str
    config: TrainConfig
    left_out: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


class RunFolder:
    """Reads and writes the files of a run; other processes may read them at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state.safetensors"
        self.memory = path / "replay.json"
        self._plan = path / "config.json"
        self._starts = path / "starts.jsonl"
        self._dataset = path / "dataset.json"
        self._progress = path / "progress.jsonl"
        self._stop = path / "stop"

    def write_plan(self, plan: Plan, material: Material) -> None:
        """Keep what the run was asked for and the labels it learns from."""
        save_material(material, self._dataset)
        with published_file(self._plan) as aside:  # last: where it stands, the folder is complete
            aside.write_text(json.dumps(asdict(plan), indent=2, ensure_ascii=False), encoding="utf-8")

    def read_plan(self) -> tuple[Plan, Material]:
        """What `write_plan` kept.

        Raises:
            JobRefused: the run ended before it was written.
        """
        if not self._plan.exists():
            raise JobRefused(f"The run in {str(self.path)!r} ended before it began to learn. Start a new one.")
        facts = json.loads(self._plan.read_text(encoding="utf-8"))
        config = TrainConfig().updated(facts.pop("config"))
        left_out, notes = tuple(facts.pop("left_out")), tuple(facts.pop("notes"))
        return Plan(**facts, config=config, left_out=left_out, notes=notes), load_material(self._dataset)

    def add_start(self, facts: Mapping[str, Any]) -> None:
        """Keep with what the run was started or taken up again, one line each time."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self._starts.open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line to the progress file, whole or not at all as readers see it."""
        with self._progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def forget_after(self, step: int) -> None:
        """Take lines about later steps off the progress file, and half a line that a killed process left.

        A run that goes on from an earlier state does these steps again.
        """
        if not self._progress.exists():
            return
        kept = [line for line in self.lines() if line.get("step", 0) <= step]
        with published_file(self._progress) as aside:
            aside.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """The whole lines of the progress file."""
        if not self._progress.exists():
            return []
        text = self._progress.read_text(encoding="utf-8", errors="replace")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def asked_to_stop(self) -> bool:
        """Whether a file called "stop" lies in the folder."""
        return self._stop.exists()

    def clear_stop(self) -> None:
        """Take an earlier wish to stop away."""
        self._stop.unlink(missing_ok=True)
