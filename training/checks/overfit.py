"""Whether a detector can learn a single batch by heart: what can't do that will not learn a dataset."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from engine.grounding import GroundingDetector
from training.checks.problem import Problem, Report, error, warning
from training.config import SMALL_MODEL_PARAMETERS, TrainConfig
from training.data import Batch
from training.errors import TrainingDiverged, TrainingError
from training.metrics.coco import Evaluation
from training.trainer import train

STEPS = 10
LEAST_FALL = 0.1  # share of the loss that must be gone after them
LEAST_RUN = 4 * STEPS  # of a shorter run the check would be a large part
SECONDS = 20.0

_NOTHING = Evaluation({"AP": None, "AP50": None}, {}, 0)


@dataclass(frozen=True)
class Fall:
    """The loss of one batch before the first and after the last step."""

    first: float
    last: float
    steps: int

    @property
    def share(self) -> float:
        """How much of the loss is gone."""
        return 1 - self.last / self.first if self.first else 0.0


def check_overfit(
    detector: GroundingDetector,
    batches: Callable[[int], list[Batch]],
    config: TrainConfig,
    *,
    seconds: float = SECONDS,
) -> Report:
    """Teach a copy of the detector one batch for a few steps; the detector and all random states stay as they are.

    Left out where a run is short, and on a CPU where the model is large: there a step takes minutes.

    Args:
        detector: as the run will teach it.
        batches: makes the parts of a step, from 1.
        config: the settings of the run.
        seconds: after which it ends with as many steps as are done.
    """
    parameters = sum(value.numel() for value in detector.model.parameters())
    if config.steps < LEAST_RUN or (detector.device == "cpu" and parameters > SMALL_MODEL_PARAMETERS):
        return Report()
    try:
        fall = overfit(detector, batches(1), config, seconds)
    except TrainingDiverged as broken:
        return Report((error("diverges", "The loss of a single batch is no number any more", str(broken)),))
    except TrainingError as broken:
        return Report((error("does_not_fit", "A single batch can't be learnt", str(broken)),))
    return Report(tuple(_judged(fall, config)))


def overfit(detector: GroundingDetector, batch: list[Batch], config: TrainConfig, seconds: float = SECONDS) -> Fall:
    """How far the loss of one step's parts falls, for a copy of the detector.

    Raises:
        TrainingDiverged: the loss is no number.
        TrainingError: the GPU's memory is full.
    """
    calm = replace(
        config,
        steps=STEPS + 1,  # a step tells the loss before it
        schedule="flat",
        warmup=0.0,
        dropout=0.0,
        fusion_dropout=0.0,
        denoising=0,  # its noise would be another each step
        dense_steps=0,
        validate_every=STEPS + 1,
    )
    losses: list[float] = []
    with _copied(detector) as student:
        until = time.monotonic() + seconds
        for progress in train(student, lambda _step: batch, lambda: _NOTHING, calm):
            if progress.event == "step":
                losses.append(progress.loss)
                if time.monotonic() > until:
                    break
    return Fall(losses[0], losses[-1], len(losses) - 1)


def _judged(fall: Fall, config: TrainConfig) -> Iterator[Problem]:
    if fall.steps >= STEPS and fall.share < LEAST_FALL:
        what = (
            f"The loss of a single batch went from {fall.first:.3g} to {fall.last:.3g} in {fall.steps} steps, "
            f"less than {LEAST_FALL:.0%} down"
        )
        advice = (
            f"Raise learning_rate (now {config.learning_rate:g}) or let more parts learn (freeze, the multipliers and "
            "lora_rank), and look at `preview`."
        )
        yield warning("does_not_overfit", what, advice)


@contextmanager
def _copied(detector: GroundingDetector) -> Iterator[GroundingDetector]:
    """A copy to try things on; torch's random states are afterwards what they were."""
    device = torch.device(detector.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield GroundingDetector(
            copy.deepcopy(detector.model), detector.tokenizer, detector.preprocessing, device=device
        )
    if device.type == "cuda":
        torch.cuda.empty_cache()  # the copy's memory is the run's
