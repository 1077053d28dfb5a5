"""Which weights of a detector learn, and how fast."""

from typing import Any

import torch
from torch import nn

from training.config import TrainConfig

_NO_DECAY = ("relative_position_bias_table", "position_embeddings", "level_embed")


def choose_trainable(model: nn.Module, config: TrainConfig) -> dict[str, nn.Parameter]:
    """Set `requires_grad` of every parameter as the settings say; returns those that learn, by name.

    transformers freezes a ResNet backbone whole by a slip in its test for stage names, so a backbone that shall learn
    is switched on here. Frozen batch norms hold buffers, not parameters, and stay as they are.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(_rate(name, config) > 0 and parameter.is_floating_point())
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def optimizer_for(trainable: dict[str, nn.Parameter], config: TrainConfig) -> torch.optim.AdamW:
    """AdamW with a group for each learning rate and weight decay; a group's "share" is its part of the rate."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trainable.items():
        decays = parameter.ndim > 1 and not any(part in name for part in _NO_DECAY)
        key = (_rate(name, config), config.weight_decay if decays else 0.0)
        groups.setdefault(key, []).append(parameter)
    listed: list[dict[str, Any]] = [
        {"params": members, "weight_decay": decay, "share": share} for (share, decay), members in groups.items()
    ]
    return torch.optim.AdamW(listed, lr=config.learning_rate, fused=True)


def set_mode(model: nn.Module, config: TrainConfig) -> None:
    """Training mode for what learns, evaluation mode (no dropout) for what is frozen; dropout as the settings say.

    Checkpoints carry other rates in their config than their authors trained with:
    only the attribute of each module is set, the config that is saved with the weights keeps its own.
    """
    model.train()
    for name, module in model.named_modules():
        if name.startswith(("model.encoder", "model.decoder")):
            _set_dropout(module, config)
        if name in ("model.backbone", "model.text_backbone") and _rate(f"{name}.", config) == 0:
            module.eval()


def _set_dropout(module: nn.Module, config: TrainConfig) -> None:
    kind = type(module).__name__
    if kind.endswith("DropPath"):
        setattr(module, "drop_prob", 0.0)  # noqa: B010 - nn.Module's own type allows modules and tensors only
    elif isinstance(getattr(module, "dropout", None), int | float):
        rate = config.fusion_dropout if kind.endswith("BiMultiHeadAttention") else config.dropout
        setattr(module, "dropout", rate)  # noqa: B010


def _rate(name: str, config: TrainConfig) -> float:
    """Share of the learning rate for the parameter called `name`."""
    if ".text_backbone." in name:
        return 0.0 if config.mode == "vocabulary" else config.text_multiplier
    if ".backbone." in name:
        return config.backbone_multiplier
    return 1.0
