"""What a run tells while it works: lines for the progress file and for whoever listens."""

from collections.abc import Callable, Sequence
from typing import Any

from training.config import TrainConfig
from training.run_folder import RunFolder
from training.tensorboard import Curves
from training.trainer import Progress

_ALSO_TOLD = ("AP_base", "AP50_base", "AP_novel", "AP50_novel", "R@1", "P@1")  # where a run measures them

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
        self._curves = Curves(folder.path)

    def __call__(self, progress: Progress) -> None:
        """Tell of `progress` where it is worth a line."""
        if progress.event == "step":
            self._since.append(progress)
            if progress.step % self._log_every == 0 or progress.step == progress.steps:
                self._tell(self._step_line(progress))
        elif progress.event == "resumed":
            self._folder.forget_after(progress.step)
            self._curves.begin(self._folder.lines())
            self._tell({"step": progress.step, "steps": progress.steps, "event": "resumed"})
        elif progress.event == "early_stop":
            self.note(progress, "Stopped early: as many measurements as early_stop allows brought nothing better.")
        elif progress.evaluation is not None:
            if progress.step == 0:
                self._begin(progress)
            line = {"step": progress.step, "steps": progress.steps, "event": "evaluation"}
            line |= {"best_step": progress.best_step}
            measures = {name: progress.evaluation.metrics.get(name) for name in ("AP", "AP50")}
            measures |= {name: value for name, value in progress.evaluation.metrics.items() if name in _ALSO_TOLD}
            self._tell(line | measures | {"seconds": round(progress.seconds, 1)})

    def note(self, progress: Progress, text: str) -> None:
        """Tell a person something at this point of the run."""
        self._tell({"step": progress.step, "steps": progress.steps, "event": "note", "note": text})

    def close(self) -> None:
        """Nothing more is told."""
        self._curves.close()

    def _begin(self, progress: Progress) -> None:
        self._folder.forget_after(-1)  # a run that was killed before its first state begins anew
        self._curves.begin()
        for note in self._notes:
            self.note(progress, note)

    def _step_line(self, progress: Progress) -> dict[str, Any]:
        count = len(self._since)
        names = sorted({name for of in self._since for name in of.losses})  # a step without boxes has fewer terms
        losses = {name: round(sum(of.losses.get(name, 0.0) for of in self._since) / count, 5) for name in names}
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
        self._curves.add(line)
        self._say(line)
