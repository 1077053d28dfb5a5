"""Which weights of a detector learn, and how fast."""

from typing import Any

import torch
from torch import nn

from training.config import Part, TrainConfig
from training.errors import ConfigRefused
from training.lora import add_adapter, is_of_adapter

_NO_DECAY = ("relative_position_bias_table", "position_embeddings", "level_embed")
_PARTS: tuple[tuple[str, Part], ...] = (  # the first beginning that fits a parameter's name decides
    ("model.backbone.", "backbone"),
    ("model.text_backbone.", "text"),
    ("model.input_proj_vision.", "neck"),
    ("model.text_projection.", "neck"),
    ("model.level_embed", "neck"),
    ("model.encoder.", "encoder"),
    ("model.decoder.class_embed.", "heads"),  # the decoder holds the heads a second time
    ("model.decoder.bbox_embed.", "heads"),
    ("model.decoder.", "decoder"),
    ("model.query_position_embeddings.", "decoder"),
)


def part_of(name: str) -> Part:
    """The part that a parameter of transformers' (MM-)Grounding-DINO belongs to, by its full name.

    What no other part claims is a head: class and box heads of the decoder, and those of the encoder's proposals.
    """
    return next((part for start, part in _PARTS if name.startswith(start)), "heads")


def choose_trainable(model: nn.Module, config: TrainConfig) -> dict[str, nn.Parameter]:
    """Set `requires_grad` of every parameter as the settings say; returns those that learn, by name.

    With `lora_rank` the linear layers of every part that learns get a low-rank adapter, which learns in their place;
    of the other weights only the heads learn.

    transformers freezes a ResNet backbone whole by a slip in its test for stage names, so a backbone that shall learn
    is switched on here. Frozen batch norms hold buffers, not parameters, and stay as they are.

    Raises:
        ConfigRefused: nothing is left to learn.
    """
    if config.lora_rank:
        add_adapter(model, _adapted(model, config), config)
    for name, parameter in model.named_parameters():
        whole = not config.lora_rank or is_of_adapter(name) or part_of(name) == "heads"
        parameter.requires_grad_(whole and _rate(name, config) > 0 and parameter.is_floating_point())
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not trainable:
        frozen = ", ".join(config.freeze)
        raise ConfigRefused(f"Training settings: freeze is {frozen}, which leaves nothing to learn. Freeze fewer.")
    return trainable


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
    for name, module in model.named_modules():
        if name in _WITH_DROPOUT and _rate(f"{name}.", config) == 0:
            module.eval()


_WITH_DROPOUT = ("model.backbone", "model.text_backbone", "model.encoder", "model.decoder")


def _set_dropout(module: nn.Module, config: TrainConfig) -> None:
    kind = type(module).__name__
    if kind.endswith("DropPath"):
        setattr(module, "drop_prob", 0.0)  # noqa: B010 - nn.Module's own type allows modules and tensors only
    elif isinstance(getattr(module, "dropout", None), int | float):
        rate = config.fusion_dropout if kind.endswith("BiMultiHeadAttention") else config.dropout
        setattr(module, "dropout", rate)  # noqa: B010


def _adapted(model: nn.Module, config: TrainConfig) -> list[str]:
    """Names of the linear layers that get an adapter; none of the heads, which learn whole."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and part_of(f"{name}.") != "heads"
        and not is_of_adapter(name)
        and _rate(f"{name}.", config) > 0
    ]


def _rate(name: str, config: TrainConfig) -> float:
    """Share of the learning rate for the parameter called `name`."""
    if name.startswith("denoising."):  # learns beside the detector, whatever of that is frozen
        return 1.0
    return config.rate_of(part_of(name))
