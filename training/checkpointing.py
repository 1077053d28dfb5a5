"""The state of an unfinished training, kept in one file so that it can go on after anything."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from common.publish import published_file
from training.config import TrainConfig
from training.ema import AveragedWeights, copy_into
from training.errors import StateNotSaved, StateRefused
from training.metrics.coco import Evaluation

FORMAT = 2
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_FREE_TO_CHANGE = {"log_every", "save_every_s", "early_stop"}  # settings that do not touch a step


@dataclass
class TrainingState:
    """What has happened so far beside the weights.

    No random state is kept: the draws of a step follow from the seed and the step's number.

    Attributes:
        step: finished optimiser steps.
        seconds: spent in them.
        before: how good the detector was as it came, None until that is measured.
        best: how good it was at `best_step`, None before the first validation after a step.
        best_weights: averaged weights at `best_step`, on the CPU.
        validated_step: step of the newest validation.
        stale: validations since the best one.
    """

    step: int = 0
    seconds: float = 0.0
    before: Evaluation | None = None
    best: Evaluation | None = None
    best_step: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    validated_step: int = -1
    stale: int = 0


def save_state(
    path: Path,
    state: TrainingState,
    config: TrainConfig,
    trainable: Mapping[str, nn.Parameter],
    average: AveragedWeights,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Replace the file at `path` by the present state, or leave it whole as it was.

    One safetensors file: "model/", "ema/", "best/" and "adam/" tensors by parameter name, the rest as JSON in its
    header; so there is no moment at which half of a state is on the disk.

    Raises:
        StateNotSaved: the disk is full or refuses; the earlier state is still there.
    """
    tensors = {f"model/{name}": value.detach() for name, value in trainable.items()}
    tensors |= {f"ema/{name}": value for name, value in average.values.items()}
    tensors |= {f"best/{name}": value for name, value in state.best_weights.items()}
    tensors |= _moments(trainable, optimizer)
    facts = asdict(replace(state, best_weights={})) | {"config": asdict(config), "format": FORMAT}
    try:
        with published_file(path) as aside:
            on_cpu = {name: value.cpu().contiguous() for name, value in tensors.items()}
            save_file(on_cpu, aside, metadata={"training": json.dumps(facts)})
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        kept = "the state before it is whole" if path.exists() else "it begins anew, as no state was saved before"
        raise StateNotSaved(
            f"The training state at step {state.step} can't be written to {str(path)!r}: {reason}. "
            f"Free space on the disk, then resume: {kept}."
        ) from error


def load_state(
    path: Path,
    config: TrainConfig,
    trainable: Mapping[str, nn.Parameter],
    average: AveragedWeights,
    optimizer: torch.optim.Optimizer,
) -> TrainingState:
    """Put a saved state into the model, the average and the optimiser.

    Raises:
        StateRefused: the file is no training state, or was made with other settings or another detector.
    """
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise StateRefused(f"{str(path)!r} is no training state ({type(error).__name__}). Start a new run.") from error
    _check(path, facts, tensors, config, trainable)
    copy_into(trainable, _part(tensors, "model/"))
    for name, value in _part(tensors, "ema/").items():
        average.values[name].copy_(value)
    _restore_moments(trainable, optimizer, tensors)
    return TrainingState(
        step=facts["step"],
        seconds=facts["seconds"],
        before=_evaluation(facts["before"]),
        best=_evaluation(facts["best"]),
        best_step=facts["best_step"],
        best_weights=_part(tensors, "best/"),
        validated_step=facts["validated_step"],
        stale=facts["stale"],
    )


def _check(
    path: Path,
    facts: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    config: TrainConfig,
    trainable: Mapping[str, nn.Parameter],
) -> None:
    if facts.get("format") != FORMAT:
        raise StateRefused(f"{str(path)!r} has format {facts.get('format')!r}, not {FORMAT}. Start a new run.")
    wanted = json.loads(json.dumps(asdict(config)))
    changed = [key for key in wanted if key not in _FREE_TO_CHANGE and facts["config"].get(key) != wanted[key]]
    if changed:
        raise StateRefused(
            f"{str(path)!r} was made with other settings ({', '.join(changed)}). Resume with the same, or start anew."
        )
    saved = _part(tensors, "model/")
    if {n: tuple(v.shape) for n, v in saved.items()} != {n: tuple(v.shape) for n, v in trainable.items()}:
        raise StateRefused(f"{str(path)!r} belongs to another detector. Resume with the one the run started from.")


def _moments(trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"adam/{kind}/{name}": optimizer.state[parameter][kind]
        for name, parameter in trainable.items()
        if parameter in optimizer.state
        for kind in _MOMENTS
    }


def _restore_moments(
    trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    for name, parameter in trainable.items():
        if f"adam/step/{name}" in tensors:
            optimizer.state[parameter] = {
                kind: tensors[f"adam/{kind}/{name}"].to(parameter.device) for kind in _MOMENTS
            }


def _evaluation(facts: Mapping[str, Any] | None) -> Evaluation | None:
    return None if facts is None else Evaluation(**facts)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
