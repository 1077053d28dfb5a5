"""The stages of training a starter, each as steps that the caller asks for one by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from training.criterion import CriterionConfig, GroundingCriterion
from training.dense import dense_loss
from training.ema import AveragedWeights
from training.errors import TrainingDiverged
from training.precision import multiplies_bfloat16
from training.processes import Processes
from training.starter.batches import BatchRules, SceneBatch, SceneBatches, load
from training.starter.casting import CastRules
from training.starter.forward import StarterForward
from training.starter.model import (
    let_queries_know_their_place,
    let_queries_see_neighbours,
    start_encoder_as_identity,
)
from training.starter.naming import dense_naming_loss, naming_losses, phrase_losses, pointing_losses
from training.starter.prompts import PromptRules, PromptWriter
from training.starter.sides import SideReader, side_losses
from training.targets import PaddedTargets, pad_targets
from training.worlds.rules import PHOTO_RULES


@dataclass(frozen=True)
class StageConfig:
    """One stage of the recipe; learning rates are for AdamW."""

    name: str  # "dense" (stage A), "full" (stage B) or "further" (on from weights that had both)
    steps: int
    learning_rate: float
    backbone_rate: float  # for backbone and text
    warmup: int = 100  # steps
    flat: float = 0.6  # part of the steps before the rate falls along a cosine to 2 %
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    average_decay: float = 0.998
    frozen: int = 0  # parts of the backbone, its stem first, that stay as they are
    naming: float = 2.0  # weight of `naming_losses` and, with a text for each, of `phrase_losses`
    pointing: float = 0.5  # weight of `pointing_losses`, with a text for each
    sides: float = 0.0  # weight of `side_losses`
    bfloat16: bool = True  # products in bf16 where the device has it; weights, boxes and losses stay fp32
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


# Prompts name shapes: none may stand behind the things unlabelled.
_SCENE = replace(PHOTO_RULES, backdrop_share=0)

DENSE = StageConfig(
    "dense",
    steps=10000,
    learning_rate=2e-3,
    backbone_rate=2e-3,
    prompts=PromptRules(names=(72,), sentence_share=0.5, cast=CastRules(synonym_share=0.15)),
    batches=BatchRules(
        longest=(160, 192, 224, 256),
        kinds=(6, 14),
        objects=(8, 18),
        unnamed_share=0.2,
        empty_share=0.0,
        told_share=0.0,
        scene=_SCENE,
    ),
)
FULL = StageConfig(
    "full",
    steps=21000,
    learning_rate=8e-4,
    backbone_rate=5e-4,
    seed=1,
    # Focal gamma 1 presses harder on names that are wrong; one query for a thing in all matches, on second boxes; names
    # have a gradient two to three times as large as boxes, which weigh more here than in the paper.
    criterion=CriterionConfig(
        iou_aware=True, iou_power=2.0, gamma=1.0, cost_behind=3.0, loss_l1=15.0, loss_giou=10.0, near=1.0
    ),
    pointing=1.0,
    sides=1.0,
    prompts=PromptRules(names=(2, 4, 8, 16, 16, 16, 24, 32, 64, 80), cast=CastRules(alike_share=0.4, practise=True)),
    batches=BatchRules(
        longest=(320, 352, 384, 384),
        drawn=(0.6, 1.5),  # photos are smaller than the working size, or larger: then what is fine on them is sharp
        unnamed_share=0.75,
        rival_share=0.6,
        empty_share=0.25,
        large_share=0.35,  # photos mostly show few things, large ones
        told_share=0.2,
        scene=_SCENE,
    ),
)
# On from weights that had their training: what looks at pixels is not worth its time any more.
FURTHER = replace(
    FULL,
    name="further",
    steps=1150,
    learning_rate=5e-4,
    backbone_rate=2.5e-4,
    warmup=40,
    flat=0.5,
    average_decay=0.995,
    frozen=2,
)


@dataclass(frozen=True)
class Progress:
    """One step done: its number from 1, and the weighted terms of its loss."""

    step: int
    losses: dict[str, float]


@dataclass
class StageState:
    """All that a stage changes, so that it can be saved and taken up again."""

    config: StageConfig
    model: Any
    reader: SideReader  # trained along where the stage has `side_losses`
    average: AveragedWeights
    optimizer: torch.optim.Optimizer
    step: int = 0


def begin(config: StageConfig, model: Any, device: torch.device | str = "cpu") -> StageState:
    """A stage at its first step, on `device`; stage B begins with an encoder that adds nothing.

    Args:
        config: of the stage.
        model: on the CPU, where it is prepared.
        device: where it is trained.
    """
    if config.name == "full":
        start_encoder_as_identity(model)
        let_queries_see_neighbours(model)
        let_queries_know_their_place(model)
    for part in _frozen(config, model):
        part.requires_grad_(False)
    model.to(device)
    average = AveragedWeights(dict(model.named_parameters(remove_duplicate=False)), config.average_decay)
    reader = SideReader(model.config.d_model).to(device)
    return StageState(config, model, reader, average, _optimizer(config, model, reader))


def run(state: StageState, tokenizer: Any, workers: int = 1, processes: Processes | None = None) -> Iterator[Progress]:
    """Train `state` in place up to its last step, yielding after each one.

    Several processes must begin with the same `state`; each renders batches of its own, and a step is the mean of them.

    Raises:
        TrainingDiverged: the loss is not a finite number.
        FontMissing: scenes cannot be drawn.
    """
    config, processes = state.config, processes or Processes()
    losses_of = _LOSSES[config.name]
    forward, parameters = StarterForward(state.model), [*state.model.parameters(), *state.reader.parameters()]
    batches = SceneBatches(
        PromptWriter(tokenizer, config.prompts),
        config.batches,
        config.seed,
        state.step,
        config.steps,
        rank=processes.rank,
    )
    state.model.train()
    for part in _frozen(config, state.model):
        part.eval()
    device = parameters[0].device
    for rendered in load(batches, workers):
        batch = rendered.to(device)
        rate = config.rate(state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = group["base_rate"] * rate
        losses = losses_of(forward, state.reader, batch, config)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise TrainingDiverged(f"Loss is {total.item():g} at step {state.step}. Lower the learning rate.")
        torch.autograd.backward(total / processes.count)
        processes.add_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.step += 1
        state.average.update(state.step)
        yield Progress(state.step, {name: value.item() for name, value in losses.items()})


LossTerms = dict[str, Tensor]
Losses = Callable[[StarterForward, SideReader, SceneBatch, StageConfig], LossTerms]


def _dense_losses(forward: StarterForward, _: SideReader, batch: SceneBatch, config: StageConfig) -> LossTerms:
    with _halved(config, batch.pixels.device):
        outputs = forward.dense(batch.pixels, batch.input_ids, batch.text_mask)
    targets = _padded(batch)
    losses = dense_loss(outputs, targets, config.criterion)
    if isinstance(batch.names, Tensor):
        losses["naming"] = config.naming * dense_naming_loss(outputs, targets, batch.names)
    return losses


def _full_losses(forward: StarterForward, reader: SideReader, batch: SceneBatch, config: StageConfig) -> LossTerms:
    with _halved(config, batch.pixels.device):
        layers, encoded = forward(batch.pixels, batch.input_ids, batch.text_mask)
    targets = _padded(batch)
    losses: LossTerms = GroundingCriterion(config.criterion)(layers, targets, targets.judged)
    if isinstance(batch.names, Tensor):
        naming = naming_losses(layers, targets, batch.unnamed, batch.names, config.criterion)
    else:
        naming = phrase_losses(layers, targets, batch.names, config.criterion)
        losses["pointing"] = config.pointing * pointing_losses(layers, targets, config.criterion)
    losses["naming"] = config.naming * naming
    if config.sides:
        for name, value in side_losses(forward.model, reader, encoded, _things(batch), config.criterion).items():
            losses[name] = config.sides * value
    return losses


_LOSSES: dict[str, Losses] = {"dense": _dense_losses, "full": _full_losses, "further": _full_losses}


def _halved(config: StageConfig, device: torch.device) -> torch.autocast:
    """Within the block products are in bf16, where that is wanted and the device has it; losses never are."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16 and multiplies_bfloat16(device))


def _padded(batch: SceneBatch) -> PaddedTargets:
    return pad_targets(batch.targets, batch.text_mask.expand(len(batch.pixels), -1))


def _things(batch: SceneBatch) -> list[Tensor]:
    """Boxes of all the things of each scene, as far as the batch knows them."""
    named = [targets.boxes for targets in batch.targets]
    if not batch.unnamed:
        return named
    return [torch.cat(boxes) for boxes in zip(named, batch.unnamed, strict=True)]


def _frozen(config: StageConfig, model: Any) -> list[nn.Module]:
    resnet = model.model.backbone.conv_encoder.model
    return [resnet.embedder, *resnet.encoder.stages][: config.frozen]


def _optimizer(config: StageConfig, model: Any, reader: SideReader) -> torch.optim.Optimizer:
    """AdamW with the backbone and the text at their own rate, and no decay of biases, norms and scales."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in (*model.named_parameters(), *reader.named_parameters()):
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
