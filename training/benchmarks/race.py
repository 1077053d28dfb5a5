"""Contenders that learn the same batches in turns, and how fast each gets good."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from training.benchmarks.contenders import Contender
from training.benchmarks.tasks import Task, batches_of
from training.data import prefetched
from training.metrics.coco import evaluate_detector


@dataclass
class Curve:
    """How good a contender was after so many steps and seconds of its own; step 0 is the start all share."""

    steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    AP50: list[float] = field(default_factory=list)
    AP: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """Highest AP50."""
        return max(self.AP50)

    def reached(self, wanted: float) -> int | None:
        """Steps after which the AP50 was at least so high for the first time; None: never."""
        return next((step for step, value in zip(self.steps, self.AP50, strict=True) if value >= wanted), None)


@dataclass(frozen=True)
class Lap:
    """A measurement of one contender during a race."""

    contender: str
    step: int
    AP50: float


def race(task: Task, contenders: Mapping[str, Contender], every: int, curves: dict[str, Curve]) -> Iterator[Lap]:
    """Let all contenders take each step's batch in turns, measuring every `every` steps; fills `curves`."""
    first = next(iter(contenders.values()))
    make = batches_of(task.train, task.ontology, first.detector.preprocessing, first.detector.tokenizer, task.config)
    for name, contender in contenders.items():
        curves[name] = Curve()
        yield _measured(task, name, contender, 0, curves[name])
    for step, batches in enumerate(prefetched(make, range(1, task.config.steps + 1)), start=1):
        for contender in contenders.values():
            contender.step(step, batches)
        if step % every == 0 or step == task.config.steps:
            for name, contender in contenders.items():
                yield _measured(task, name, contender, step, curves[name])


def steps_ratio(slow: Curve, fast: Curve) -> float | None:
    """Steps of `slow` to its best AP50 over steps of `fast` to the same; None where `fast` never gets there.

    Measured at the same steps for both, so the ratio is as coarse as the measurements are far apart.
    """
    wanted = slow.best
    needed, reached = slow.reached(wanted), fast.reached(wanted)
    return None if not needed or not reached else needed / reached


def step_time_ratio(slow: Contender, fast: Contender) -> float:
    """Median time of a step of `fast` over that of `slow`."""
    return statistics.median(fast.seconds) / statistics.median(slow.seconds)


def _measured(task: Task, name: str, contender: Contender, step: int, curve: Curve) -> Lap:
    with contender.average():
        found = evaluate_detector(contender.detector, task.validation, task.ontology)
    curve.steps.append(step)
    curve.seconds.append(round(sum(contender.seconds), 2))
    curve.AP50.append(found.metrics["AP50"] or 0.0)
    curve.AP.append(found.metrics["AP"] or 0.0)
    return Lap(name, step, curve.AP50[-1])
