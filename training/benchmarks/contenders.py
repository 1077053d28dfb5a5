"""Two ways to the same gradient step: transformers' own loss for these detectors, and ours."""

import time
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from engine.grounding import GroundingDetector
from training.config import TrainConfig
from training.data import Batch
from training.ema import AveragedWeights
from training.parameters import choose_trainable, optimizer_for, set_mode
from training.schedule import learning_rate
from training.student import Student

_END_OF_NAME = 1012  # '.', which ends each name of a prompt


class Loss(Protocol):
    """The loss of one batch, ready for the gradient."""

    def __call__(self, batch: Batch, step: int) -> Tensor: ...


class OwnLoss:
    """Our criterion as the trainer uses it."""

    def __init__(self, detector: GroundingDetector, config: TrainConfig) -> None:
        self.student = Student(detector.model, config)
        self._dense_steps = config.dense_steps

    def __call__(self, batch: Batch, step: int) -> Tensor:
        terms: dict[str, Tensor]
        if step <= self._dense_steps:
            terms = self.student.dense(batch)
        else:
            terms = self.student(batch, boxes_in_step=None, seed=step)
        return torch.stack(list(terms.values())).sum()


class TransformersLoss:
    """What `model(..., labels=...)` returns as its loss, every decoder layer supervised.

    It reads a box's class as the number of its name in the prompt, so every image of a batch must have the same
    prompt: with different ones it takes targets from another image's names.
    """

    def __init__(self, detector: GroundingDetector) -> None:
        self._model: Any = detector.model
        self._model.config.auxiliary_loss = True

    def __call__(self, batch: Batch, step: int) -> Tensor:
        if not torch.equal(batch.input_ids, batch.input_ids[:1].expand_as(batch.input_ids)):
            raise ValueError("transformers' loss needs one prompt for all images of a batch. Use mode closed.")
        labels = [
            {"class_labels": _name_numbers(ids, target.positive_map), "boxes": target.boxes}
            for ids, target in zip(batch.input_ids, batch.targets, strict=True)
        ]
        outputs = self._model(
            pixel_values=batch.pixel_values,
            pixel_mask=batch.pixel_mask,
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            labels=labels,
        )
        loss: Tensor = outputs.loss
        return loss


class Contender:
    """A detector that learns by one loss; everything else is the same for all."""

    def __init__(self, detector: GroundingDetector, loss: Loss, config: TrainConfig) -> None:
        self.detector = detector
        self.seconds: list[float] = []
        self._loss, self._config = loss, config
        self._trainable = choose_trainable(detector.model, config)
        extra = getattr(loss, "student", None)
        learning = dict(self._trainable)
        if extra is not None and extra.denoising is not None:
            learning |= {f"denoising.{name}": value for name, value in extra.denoising.named_parameters()}
        self._learning = learning
        self._optimizer = optimizer_for(learning, config)
        self._average = AveragedWeights(self._trainable, config.ema_decay)
        set_mode(detector.model, config)

    def step(self, step: int, batches: Sequence[Batch]) -> float:
        """One optimiser step, timed; returns its loss."""
        started = time.perf_counter()
        torch.manual_seed(step)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(step, self._config) * group["share"]
        total = 0.0
        for batch in batches:
            loss = self._loss(batch, step)
            torch.autograd.backward(loss)
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(self._learning.values(), self._config.clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._average.update(step)
        self.seconds.append(time.perf_counter() - started)
        return total

    def average(self) -> Any:
        """Context in which the detector computes with its averaged weights, in evaluation mode."""
        return _Evaluating(self)


class _Evaluating:
    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._applied = contender._average.applied()

    def __enter__(self) -> None:
        self._contender.detector.model.eval()
        self._applied.__enter__()

    def __exit__(self, *error: object) -> None:
        self._applied.__exit__(None, None, None)
        set_mode(self._contender.detector.model, self._contender._config)


def _name_numbers(input_ids: Tensor, positive_map: Tensor) -> Tensor:
    """For each box the number of names that end before its first token; (N, T) -> (N,) int64."""
    ended = (input_ids == _END_OF_NAME).cumsum(0)[: positive_map.shape[1]]
    return ended[positive_map.float().argmax(-1)] if len(positive_map) else torch.zeros(0, dtype=torch.long)
