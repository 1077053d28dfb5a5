"""What a run tells while it works: lines for the progress file and for whoever listens."""

from collections.abc import Callable, Sequence
from typing import Any

from training.config import TrainConfig
from training.run_folder import RunFolder
from training.trainer import Progress

Say = Callable[[dict[str, Any]], None]


def silence(_line: dict[str, Any]) -> None:
    """Nobody listens."""


class Reporter:
    """Writes a line a few steps, with the mean of their losses, and one for each validation."""

    def __init__(self, folder: RunFolder, config: TrainConfig, notes: Sequence[str], say: Say) -> None:
        self._folder = folder
        self._log_every = config.log_every
        self._notes = notes
        self._say = say
        self._since: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        """Tell of `progress` where it is worth a line."""
        if progress.event == "step":
            self._since.append(progress)
            if progress.step % self._log_every == 0 or progress.step == progress.steps:
                self._tell(self._step_line(progress))
        elif progress.event == "resumed":
            self._folder.forget_after(progress.step)
            self._tell({"step": progress.step, "steps": progress.steps, "event": "resumed"})
        elif progress.evaluation is not None:
            if progress.step == 0:
                self._begin(progress)
            metrics = progress.evaluation.metrics
            line = {"step": progress.step, "steps": progress.steps, "event": "evaluation"}
            self._tell(line | {"AP": metrics["AP"], "AP50": metrics["AP50"], "seconds": round(progress.seconds, 1)})

    def _begin(self, progress: Progress) -> None:
        self._folder.forget_after(-1)  # a run that was killed before its first state begins anew
        for note in self._notes:
            self._tell({"step": 0, "steps": progress.steps, "event": "note", "note": note})

    def _step_line(self, progress: Progress) -> dict[str, Any]:
        count = len(self._since)
        losses = {
            name: round(sum(of.losses[name] for of in self._since) / count, 5) for name in sorted(progress.losses)
        }
        self._since.clear()
        eta = progress.eta_seconds
        return {
            "step": progress.step,
            "steps": progress.steps,
            "loss": round(sum(losses.values()), 5),
            "losses": losses,
            "learning_rate": progress.learning_rate,
            "seconds": round(progress.seconds, 2),
            "eta_seconds": None if eta is None else round(eta, 1),
        }

    def _tell(self, line: dict[str, Any]) -> None:
        self._folder.append(line)
        self._say(line)
