"""The training loop."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from engine.grounding import GroundingDetector
from training.checkpointing import TrainingState, load_state, save_state
from training.config import TrainConfig
from training.data import Batch, prefetched, resized_to
from training.ema import AveragedWeights
from training.errors import StateRefused, TrainingDiverged, TrainingError
from training.heap import keep_freed_memory
from training.metrics.coco import Evaluation
from training.parameters import choose_trainable, optimizer_for, set_mode
from training.processes import Processes
from training.recompute import recomputing
from training.schedule import learning_rate, validation_period
from training.student import Student

Event = Literal["step", "evaluation", "saved", "resumed", "early_stop"]


@dataclass(frozen=True)
class Progress:
    """What has just happened.

    Attributes:
        event: "step" (an optimiser step is done), "evaluation" (the averaged weights were validated; at step 0 the
            detector as it came), "saved" (the state is on the disk), "resumed" (training goes on from there) or
            "early_stop" (the last one: the last `config.early_stop` validations found nothing better).
        step: finished steps.
        steps: steps in all.
        seconds: since training began, without the time between a break and its resumption.
        eta_seconds: a guess at what is left; None before the first step.
        learning_rate: of this step.
        losses: weighted terms of this step; their sum is `loss`.
        evaluation: the one just made, where the event is "evaluation".
        before: the detector's as it came, once it is known.
        best: the best so far of the weights learnt, made at `best_step`.
    """

    event: Event
    step: int
    steps: int
    seconds: float
    eta_seconds: float | None = None
    learning_rate: float = 0.0
    losses: Mapping[str, float] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    before: Evaluation | None = None
    best: Evaluation | None = None
    best_step: int = 0

    @property
    def loss(self) -> float:
        """Sum of the terms."""
        return math.fsum(self.losses.values())


def train(
    detector: GroundingDetector,
    batches: Callable[[int], list[Batch]],
    evaluate: Callable[[], Evaluation],
    config: TrainConfig,
    *,
    resume: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    processes: Processes | None = None,
) -> Iterator[Progress]:
    """Teach `detector` in place, telling of each step, validation and saved state.

    When the iterator ends, or is closed, the detector holds the averaged weights of the validation with the highest
    AP after step 0 (AP50 decides between equals; where only texts are measured, R@1 and P@1 do).

    Args:
        detector: its model is changed; afterwards it is in evaluation mode.
        batches: makes the parts of a step, from 1, this process's share of them where there are several; equal steps
            give equal parts. Called on a thread, ahead of time.
        evaluate: measures the detector with the weights it holds when called: the averaged ones. Only the first
            process is asked.
        config: where `validate_every` is 0, `max_validations` alone decides when to validate.
        resume: a file to keep the state in. Where it exists, training goes on from it and ends with the weights it
            would have had without the break (on the same CPU, bit for bit). None: nothing is kept.
        stop: asked before each step; when true, training ends after a last validation.
        processes: those that take part, each calling this with equal arguments but for the batches; the step is the
            one that a single process would do on all their images. None: this one alone.

    Raises:
        TrainingDiverged: the loss is no longer a number.
        StateRefused: `resume` holds the state of another detector or of other settings.
        StateNotSaved: the disk is full.
        PeerFailed: another process failed.
        Exception: whatever `batches` or `evaluate` raise.
    """
    loop = _Loop(detector, batches, evaluate, config, resume, processes or Processes())
    try:
        yield from loop.run(stop)
    finally:
        loop.finish()


class _Loop:
    """One training: the model with all that moves beside it."""

    def __init__(
        self,
        detector: GroundingDetector,
        batches: Callable[[int], list[Batch]],
        evaluate: Callable[[], Evaluation],
        config: TrainConfig,
        state_path: Path | None,
        processes: Processes,
    ) -> None:
        self._detector, self._config, self._state_path = detector, config, state_path
        self._processes = processes
        self._batches, self._evaluate = batches, evaluate
        self._model: nn.Module = detector.model
        learning = choose_trainable(self._model, config)
        self._average = AveragedWeights(learning, config.ema_decay)
        self._student = Student(detector.model, config)
        self._trainable = learning | _extra(self._student)
        self._optimizer = optimizer_for(self._trainable, config)
        self._state = TrainingState()
        if state_path is not None and state_path.exists():
            self._state = load_state(state_path, config, self._trainable, self._average, self._optimizer)
        self._threads_before = torch.get_num_threads()
        self._started = time.monotonic() - self._state.seconds

    def run(self, stop: Callable[[], bool]) -> Iterator[Progress]:
        config, state = self._config, self._state
        torch.set_num_threads(config.threads or self._threads_before)
        keep_freed_memory()
        self._begin_together()
        yield self._progress("resumed") if state.before else self._validate()
        if config.short_side_px:  # from here on: what came before was measured at the size it was made for
            self._detector.preprocessing = resized_to(self._detector.preprocessing, config.short_side_px)
        saved_at = time.monotonic()
        every = validation_period(config)
        set_mode(self._model, config)
        left = range(0) if self._has_stalled() else range(state.step + 1, config.steps + 1)
        for batches in prefetched(self._batches, left):
            shares = self._processes.exchange(self._share(batches, stop()))
            if any(share.stop for share in shares):
                break
            yield self._step(batches, shares)
            if state.step == config.steps or state.step % every == 0:
                yield self._validate()
            last = state.step == config.steps or self._has_stalled()
            if self._keeps_state and (last or time.monotonic() - saved_at >= config.save_every_s):
                self._save()
                yield self._progress("saved")
                saved_at = time.monotonic()
            if last:
                break
        if state.validated_step != state.step:
            self._save()
            yield self._validate()
        if self._has_stalled() and state.step < config.steps:
            yield self._progress("early_stop")

    def finish(self) -> None:
        """Leave the best weights in the model, ready to detect."""
        if self._state.best_weights:
            self._average.adopt(self._state.best_weights)
        self._model.eval()
        torch.set_num_threads(self._threads_before)

    @property
    def _keeps_state(self) -> bool:
        return self._state_path is not None and self._processes.leads

    def _begin_together(self) -> None:
        """Equal weights everywhere, whatever each process drew at random."""
        steps = self._processes.exchange(self._state.step)
        if len(set(steps)) > 1:
            raise StateRefused(f"The processes resume at different steps ({steps}). Let all read the same state file.")
        self._processes.equalize(self._trainable.values())
        if not self._state.step:
            self._processes.equalize(self._average.values.values())

    def _has_stalled(self) -> bool:
        return 0 < self._config.early_stop <= self._state.stale

    def _share(self, batches: Sequence[Batch], stop: bool) -> "_Share":
        counted = [self._student.counted(batch) for batch in batches]
        ids = tuple(id_ for batch in batches for id_ in batch.image_ids)
        return _Share(stop, sum(boxes for boxes, _ in counted), sum(denoised for _, denoised in counted), ids)

    def _step(self, batches: Sequence[Batch], shares: Sequence["_Share"]) -> Progress:
        state, config, processes = self._state, self._config, self._processes
        step = state.step + 1
        seed = config.seed * 1_000_003 + step
        # dropout's draws, the same after a resumption and others in each process
        torch.manual_seed(seed * processes.count + processes.rank)
        rate = learning_rate(step, config)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        counted = sum(share.boxes for share in shares), sum(share.denoised for share in shares)
        parts = [self._backward(batch, counted, step, seed) for batch in batches]
        losses = _sum(part for parts in processes.exchange(parts) for part in parts)
        processes.add_gradients(self._trainable.values())
        norm = nn.utils.clip_grad_norm_(self._trainable.values(), config.clip)
        if not math.isfinite(float(norm)):
            ids = [id_ for share in shares for id_ in share.image_ids]
            raise _diverged("gradient", float(norm), step, ids, config)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        state.step = step
        self._average.update(step)
        return self._progress("step", learning_rate=rate, losses=losses)

    def _backward(self, batch: Batch, counted: tuple[int, int], step: int, seed: int) -> dict[str, float]:
        """Add the gradient of one part of a step; returns its share of each loss term."""
        boxes, denoised = counted
        student = self._student
        try:
            batch = batch.to(self._detector.device)
            with recomputing(self._model) if self._config.recompute else nullcontext():
                if step <= self._config.dense_steps:
                    terms: dict[str, Tensor] = student.dense(batch, boxes_in_step=boxes)
                else:
                    terms = student(batch, boxes_in_step=boxes, denoised_in_step=denoised, seed=seed)
            weighted = torch.stack(list(terms.values()))
            values: list[float] = weighted.detach().tolist()  # one transfer from the device, not one a term
            if not math.isfinite(sum(values)):
                raise _diverged("loss", sum(values), step, batch.image_ids, self._config)
            torch.autograd.backward(weighted.sum())
        except torch.cuda.OutOfMemoryError as error:
            raise TrainingError(
                f"The GPU's memory is full at step {step} with batch_size {self._config.batch_size} in "
                f"{self._config.accumulate} parts. Set a larger accumulate, recompute to true, smaller sizes_px, a "
                "smaller batch_size, or batch_size to 0 to have it found."
            ) from error
        return dict(zip(terms, values, strict=True))

    def _validate(self) -> Progress:
        state = self._state
        with self._average.applied():
            found = self._processes.exchange(self._evaluate() if self._processes.leads else None)[0]
        assert found is not None
        set_mode(self._model, self._config)
        state.validated_step = state.step
        if state.step == 0:
            state.before = found
        elif state.best is None or _rank(found, self._config.captions) > _rank(state.best, self._config.captions):
            state.best, state.best_step, state.stale = found, state.step, 0
            # on the CPU, as nothing is computed with them: a GPU's memory is for the step
            state.best_weights = {name: value.to("cpu", copy=True) for name, value in self._average.values.items()}
        else:
            state.stale += 1
        return self._progress("evaluation", evaluation=found)

    def _save(self) -> None:
        if self._state_path is not None and self._processes.leads:
            save_state(self._state_path, self._state, self._config, self._trainable, self._average, self._optimizer)

    def _progress(self, event: Event, **more: Any) -> Progress:
        state, steps = self._state, self._config.steps
        state.seconds = time.monotonic() - self._started
        eta = state.seconds / state.step * (steps - state.step) if state.step else None
        more |= {"before": state.before, "best": state.best, "best_step": state.best_step}
        return Progress(event, state.step, steps, state.seconds, eta, **more)


@dataclass(frozen=True)
class _Share:
    """What one process tells the others before a step."""

    stop: bool
    boxes: int
    denoised: int
    image_ids: tuple[int, ...]


def _extra(student: Student) -> dict[str, nn.Parameter]:
    """What learns beside the detector and is thrown away afterwards."""
    return {name: value for name, value in student.named_parameters() if not name.startswith("model.")}


def _sum(terms: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Terms of equal names added up."""
    total: dict[str, float] = {}
    for part in terms:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + value
    return total


def _rank(evaluation: Evaluation, captions: float) -> tuple[float, float]:
    """What makes one evaluation better than another: AP, then AP50.

    Where texts are measured too, their mean of recall and precision at 1 counts for the share that they have in a step.
    """
    found = evaluation.metrics
    texts = [value for name in ("R@1", "P@1") if (value := found.get(name)) is not None]
    said = math.fsum(texts) / len(texts) if texts else 0.0
    if found["AP"] is None:
        return said, 0.0
    share = captions if texts else 0.0
    return (1 - share) * found["AP"] + share * said, found["AP50"] or 0.0


def _diverged(what: str, value: float, step: int, image_ids: Sequence[int], config: TrainConfig) -> TrainingDiverged:
    ids = ", ".join(str(id_) for id_ in image_ids[:8])
    return TrainingDiverged(
        f"The {what} is {value:g} at step {step} (images {ids}). Lower learning_rate (now {config.learning_rate:g}) or "
        f"raise warmup (now {config.warmup:g}), and look at the boxes of these images."
    )
