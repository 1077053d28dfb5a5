"""The folder of one training run: what was asked, on which labels, how far it is."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.publish import published_file
from training.config import TrainConfig
from training.dataset import LabelledDataset, load_dataset, save_dataset
from training.errors import JobRefused


@dataclass(frozen=True)
class Plan:
    """All that a run needs to start, and to start again: written once, never changed.

    Attributes:
        name: of the checkpoint to make.
        detector: what people call the detector it starts from.
        source: where that detector's weights are: "starter", a folder or a hub id.
        device: as in `engine.devices.pick_device`.
        config: every setting.
    """

    name: str
    detector: str
    source: str
    device: str
    config: TrainConfig


class RunFolder:
    """Reads and writes the files of a run; other processes may read them at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state.safetensors"
        self._plan = path / "config.json"
        self._dataset = path / "dataset.json"
        self._progress = path / "progress.jsonl"
        self._stop = path / "stop"

    def write_plan(self, plan: Plan, dataset: LabelledDataset) -> None:
        """Keep what the run was asked for and the labels it learns from."""
        save_dataset(dataset, self._dataset)
        with published_file(self._plan) as aside:  # last: where it stands, the folder is complete
            aside.write_text(json.dumps(asdict(plan), indent=2, ensure_ascii=False), encoding="utf-8")

    def read_plan(self) -> tuple[Plan, LabelledDataset]:
        """What `write_plan` kept.

        Raises:
            JobRefused: the run ended before it was written.
        """
        if not self._plan.exists():
            raise JobRefused(f"The run in {str(self.path)!r} ended before it began to learn. Start a new one.")
        facts = json.loads(self._plan.read_text(encoding="utf-8"))
        config = TrainConfig().updated(facts.pop("config"))
        return Plan(**facts, config=config), load_dataset(self._dataset)

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
        text = self._progress.read_text(encoding="utf-8", errors="replace")
        whole = text[: text.rfind("\n") + 1].splitlines()
        kept = [line for line in whole if json.loads(line).get("step", 0) <= step]
        with published_file(self._progress) as aside:
            aside.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def asked_to_stop(self) -> bool:
        """Whether a file called "stop" lies in the folder."""
        return self._stop.exists()

    def clear_stop(self) -> None:
        """Take an earlier wish to stop away."""
        self._stop.unlink(missing_ok=True)
