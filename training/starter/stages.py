"""The three stages of training a starter, each as steps that the caller asks for one by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from training.criterion import CriterionConfig, GroundingCriterion
from training.dense import dense_loss
from training.ema import AveragedWeights
from training.errors import TrainingDiverged
from training.starter.batches import BatchRules, SceneBatch, SceneBatches, load
from training.starter.forward import SharedPromptForward
from training.starter.model import let_queries_see_neighbours, start_encoder_as_identity
from training.starter.naming import naming_losses
from training.starter.prompts import PromptRules, PromptWriter
from training.targets import pad_targets


@dataclass(frozen=True)
class StageConfig:
    """One stage of the recipe; learning rates are for AdamW."""

    name: str  # "dense" (stage A), "full" (stage B) or "decoder" (stage C)
    steps: int
    learning_rate: float
    backbone_rate: float  # for backbone and text
    warmup: int = 100  # steps
    flat: float = 0.3  # part of the steps before the rate falls along a cosine to 2 %
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    average_decay: float = 0.998
    naming: float = 2.0  # weight of `naming_losses`, in stage B
    bfloat16: bool = True  # matrix products and convolutions in bf16; weights, boxes and losses stay fp32
    seed: int = 0
    prompts: PromptRules = field(default_factory=PromptRules)
    batches: BatchRules = field(default_factory=BatchRules)
    criterion: CriterionConfig = field(default_factory=lambda: CriterionConfig(iou_aware=True))

    def rate(self, step: int) -> float:
        """Part of the learning rate that is used at `step`, from 0."""
        warm = min(1.0, (step + 1) / self.warmup)
        done = step / self.steps
        if done < self.flat:
            return warm
        return warm * (0.02 + 0.98 * 0.5 * (1 + cos(pi * (done - self.flat) / (1 - self.flat))))


DENSE = StageConfig(
    "dense",
    steps=4600,
    learning_rate=2e-3,
    backbone_rate=2e-3,
    prompts=PromptRules(names=(80,), caption_share=0.0, synonym_share=0.1),
    batches=BatchRules(longest=(144, 160, 192, 224), kinds=(3, 8), unnamed_share=0.0),
)
FULL = StageConfig("full", steps=4100, learning_rate=8e-4, backbone_rate=5e-4, seed=1)
DECODER = StageConfig(
    "decoder",
    steps=2000,
    learning_rate=1e-3,
    backbone_rate=0.0,
    flat=0.2,
    seed=3,
    bfloat16=False,
    criterion=CriterionConfig(iou_aware=True, gamma=1.0),  # presses harder on a second box for the same thing
    batches=BatchRules(longest=(192, 224, 256, 256)),
)


@dataclass(frozen=True)
class Progress:
    """One step done: its number from 1, and the weighted terms of its loss."""

    step: int
    losses: dict[str, float]
    rate: float


@dataclass
class StageState:
    """All that a stage changes, so that it can be saved and taken up again."""

    config: StageConfig
    model: Any
    average: AveragedWeights
    optimizer: torch.optim.Optimizer
    step: int = 0


def begin(config: StageConfig, model: Any) -> StageState:
    """A stage at its first step; stage B begins with an encoder that adds nothing."""
    if config.name == "full":
        start_encoder_as_identity(model)
    if config.name == "decoder":
        let_queries_see_neighbours(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(_DECODER))
    average = AveragedWeights(dict(model.named_parameters(remove_duplicate=False)), config.average_decay)
    return StageState(config, model, average, _optimizer(config, model))


def run(state: StageState, tokenizer: Any, workers: int = 1) -> Iterator[Progress]:
    """Train `state` in place up to its last step, yielding after each one.

    Raises:
        TrainingDiverged: the loss is not a finite number.
        FontMissing: scenes cannot be drawn.
    """
    config = state.config
    losses_of = _LOSSES[config.name]
    forward, parameters = SharedPromptForward(state.model), list(state.model.parameters())
    batches = SceneBatches(
        PromptWriter(tokenizer, config.prompts), config.batches, config.seed, state.step, config.steps
    )
    state.model.train(config.name != "decoder")  # a frozen backbone keeps its batch statistics
    for batch in load(batches, workers):
        rate = config.rate(state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = group["base_rate"] * rate
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
            losses = losses_of(forward, batch, config)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise TrainingDiverged(f"Loss is {total.item():g} at step {state.step}. Lower the learning rate.")
        torch.autograd.backward(total)
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.step += 1
        state.average.update(state.step)
        yield Progress(state.step, {name: value.item() for name, value in losses.items()}, rate)


LossTerms = dict[str, Tensor]
Losses = Callable[[SharedPromptForward, SceneBatch, StageConfig], LossTerms]


def _dense_losses(forward: SharedPromptForward, batch: SceneBatch, config: StageConfig) -> LossTerms:
    outputs = forward.dense(batch.pixels, batch.input_ids)
    return dense_loss(outputs, pad_targets(batch.targets, _text_mask(batch)), config.criterion)


def _full_losses(forward: SharedPromptForward, batch: SceneBatch, config: StageConfig) -> LossTerms:
    layers = forward(batch.pixels, batch.input_ids)
    text_mask = _text_mask(batch)
    losses: LossTerms = GroundingCriterion(config.criterion)(layers, batch.targets, text_mask)
    naming = naming_losses(layers, pad_targets(batch.targets, text_mask), batch.names, config.criterion)
    return losses | {"naming": config.naming * naming}


def _decoder_losses(forward: SharedPromptForward, batch: SceneBatch, config: StageConfig) -> LossTerms:
    layers = forward(batch.pixels, batch.input_ids, decoder_only=True)
    losses: LossTerms = GroundingCriterion(config.criterion)(layers, batch.targets, _text_mask(batch))
    return {name: value for name, value in losses.items() if not name.endswith("_enc")}


_LOSSES: dict[str, Losses] = {"dense": _dense_losses, "full": _full_losses, "decoder": _decoder_losses}
_DECODER = ("model.decoder", "class_embed", "bbox_embed", "model.query_position_embeddings")


def _text_mask(batch: SceneBatch) -> Tensor:
    return torch.ones(len(batch.pixels), batch.input_ids.shape[1], dtype=torch.bool)


def _optimizer(config: StageConfig, model: Any) -> torch.optim.Optimizer:
    """AdamW with the backbone and the text at their own rate, and no decay of biases, norms and scales."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        slow = "backbone" in name or "input_proj_vision" in name
        groups.setdefault((slow, parameter.ndim >= 2), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "base_rate": config.backbone_rate if slow else config.learning_rate,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (slow, decays), parameters in groups.items()
        ],
        lr=config.learning_rate,
        fused=True,
    )
