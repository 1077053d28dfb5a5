"""The training of a segmenter, as steps that the caller asks for one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.ema import AveragedWeights
from training.errors import StateRefused, TrainingDiverged
from training.segmenter.batches import Asked, MaskBatch, MaskBatches, MaskBatchRules, load
from training.segmenter.edges import EdgeHead, edge_loss
from training.segmenter.loss import MaskLossWeights, mask_losses
from training.segmenter.model import SegmenterSize, build_segmenter
from training.segmenter.optimizers import Optimizers, optimizers_of, set_rate
from training.state_file import one_line, read_state_file, write_state_file

_KEYS = frozenset({"step", "model", "head", "average", "optimizers"})


@dataclass(frozen=True)
class CourseConfig:
    """One of the recipe's courses."""

    name: str  # of its file
    steps: int
    learning_rate: float = 1e-3  # of AdamW, for convolutions, biases, norms and embeddings
    matrix_rate: float = 1.5e-3  # of Muon, for matrices
    warmup: int = 200  # steps
    flat: float = 0.25  # part of the steps before the rate falls along a cosine to 1 %
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    average_decay: float = 0.997
    clicks: float = 0.5  # weight of prompts of points alone
    edges: float = 1.0  # weight of `edge_loss`
    bfloat16: bool = True  # matrix products and convolutions in bf16; weights and losses stay fp32
    seed: int = 0
    batches: MaskBatchRules = field(default_factory=MaskBatchRules)
    weights: MaskLossWeights = field(default_factory=MaskLossWeights)

    def rate(self, step: int) -> float:
        """Part of the learning rate that is used at `step`, from 0."""
        warm = min(1.0, (step + 1) / self.warmup)
        done = step / self.steps
        if done <= self.flat:
            return warm
        return warm * (0.01 + 0.99 * 0.5 * (1 + cos(pi * (done - self.flat) / (1 - self.flat))))


COARSE = CourseConfig("coarse", 2500, flat=1.0, batches=MaskBatchRules(size=SegmenterSize(side=192)))
"""Pictures of 192 px, which cost half as much: where a box is, what an edge is."""
FINE = CourseConfig("fine", 15500, learning_rate=8e-4, seed=1)
"""Pictures of the size that the segmenter works at."""


@dataclass(frozen=True)
class Progress:
    """One step done: its number from 1, and the weighted terms of its loss."""

    step: int
    losses: dict[str, float]


@dataclass
class CourseState:
    """All that a course changes, so that it can be saved and taken up again."""

    config: CourseConfig
    model: Any
    head: EdgeHead
    average: AveragedWeights
    optimizers: Optimizers
    step: int = 0


def begin(config: CourseConfig) -> CourseState:
    """A course at its first step, with fresh weights."""
    model = build_segmenter(config.batches.size, config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = EdgeHead(config.batches.size.decoder_width)
    optimizers = optimizers_of(
        _learning(model) | dict(head.named_parameters()),
        rate=config.learning_rate,
        matrix_rate=config.matrix_rate,
        weight_decay=config.weight_decay,
    )
    return CourseState(config, model, head, averaged(model, config), optimizers)


def averaged(model: Any, config: CourseConfig) -> AveragedWeights:
    """The moving average of a model's weights, starting from what they are now."""
    return AveragedWeights(_learning(model), config.average_decay)


def _learning(model: Any) -> dict[str, nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def run(state: CourseState, workers: int = 1) -> Iterator[Progress]:
    """Train `state` in place up to its last step, yielding after each one.

    Raises:
        TrainingDiverged: the loss is not a finite number.
        FontMissing: scenes cannot be drawn.
    """
    config, model = state.config, state.model
    parameters = [*_learning(model).values(), *state.head.parameters()]
    model.train()
    for batch in load(MaskBatches(config.batches, config.seed, state.step, config.steps), workers):
        set_rate(state.optimizers, config.rate(state.step))
        losses = _losses(state, batch)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise TrainingDiverged(f"Loss is {total.item():g} at step {state.step}. Lower the learning rate.")
        torch.autograd.backward(total)
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        for optimizer in state.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        state.step += 1
        state.average.update(state.step)
        yield Progress(state.step, {name: value.item() for name, value in losses.items()})


def save_state(state: CourseState, path: Path) -> None:
    """Write everything that the next step depends on, whole or not at all."""
    content = {
        "step": state.step,
        "model": state.model.state_dict(),
        "head": state.head.state_dict(),
        "average": state.average.values,
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
    }
    write_state_file(path, content)


def load_state(state: CourseState, path: Path) -> None:
    """Put a saved course into a fresh one of the same size, in place; it may have another number of steps to go.

    Raises:
        StateRefused: the file is broken, another training's, or holds more steps than are wanted.
    """
    content = read_state_file(path, _KEYS)
    if content["step"] > state.config.steps:
        raise StateRefused(
            f"{path} is at step {content['step']}, and {state.config.steps} are wanted. Ask for more steps."
        )
    try:
        state.model.load_state_dict(content["model"])
        state.head.load_state_dict(content["head"])
        for name, value in state.average.values.items():
            value.copy_(content["average"][name])
        for optimizer, values in zip(state.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(values)
    except (KeyError, RuntimeError, ValueError) as error:
        raise StateRefused(f"{path} holds a training with other settings: {one_line(error)}") from error
    state.step = content["step"]


def _losses(state: CourseState, batch: MaskBatch) -> dict[str, Tensor]:
    model, config = state.model, state.config
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
        embeddings = model.vision_encoder(batch.pixels).last_hidden_state
        edges = state.head(embeddings)
    by_box = _answer(model, embeddings, batch.by_box, config)
    by_clicks = _answer(model, embeddings, batch.by_clicks, config)
    losses = mask_losses(*by_box, batch.by_box.masks, config.weights)
    clicked = mask_losses(*by_clicks, batch.by_clicks.masks, config.weights)
    losses |= {f"click_{name}": config.clicks * value for name, value in clicked.items()}
    return losses | {"edges": config.edges * edge_loss(edges, batch.owners)}


def _answer(model: Any, embeddings: Tensor, asked: Asked, config: CourseConfig) -> tuple[Tensor, Tensor]:
    """Logits (B, N, M, m, m) and scores (B, N, M): three masks for a single point alone, else one."""
    # Where a prompt lies is told in fp32: bfloat16 has 8 bits, one for each pixel of the picture.
    places = model.get_image_wide_positional_embeddings().expand(len(embeddings), -1, -1, -1)
    sparse, dense = model.prompt_encoder(asked.points_xy, asked.labels, asked.boxes_xyxy, None)
    ambiguous = asked.boxes_xyxy is None and asked.points_xy is not None and asked.points_xy.shape[2] == 1
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
        logits, scores = model.mask_decoder(embeddings, places, sparse, dense, multimask_output=ambiguous)
    return logits, scores
