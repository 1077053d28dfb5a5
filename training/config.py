"""The settings of one training run."""

import dataclasses
import difflib
import math
import os
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_type_hints

from training.errors import ConfigRefused
from training.settings import read_value, read_yaml, type_faults, wanted

Mode = Literal["vocabulary", "closed", "open"]
LossProfile = Literal["auto", "mm_grounding_dino", "grounding_dino", "iou_aware"]
Part = Literal["backbone", "text", "neck", "encoder", "decoder", "heads"]

SMALL_MODEL_PARAMETERS = 20_000_000  # below it a detector learns faster at a higher rate and with nothing frozen


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides how a detector is taught; `defaults_for` fits it to a machine and a dataset.

    Modes: "vocabulary" names in each prompt the categories on the image beside names that are not on it; "closed" asks
    for all the dataset's categories every time, other prompts get worse; "open" is "vocabulary" with some categories
    held out, which are measured apart.

    Raises:
        ConfigRefused: naming every setting that is out of range.
    """

    mode: Mode = "vocabulary"
    steps: int = 400  # optimiser steps
    batch_size: int = 4  # images per step, over all processes; 0: the most that fit, found by trying
    accumulate: int = 1  # parts a step is split into, so that a large batch fits into memory
    learning_rate: float = 1e-4  # of everything that has no multiplier
    backbone_multiplier: float = 0.1  # of learning_rate, image backbone; 0 freezes it
    text_multiplier: float = 0.1  # of learning_rate, text encoder; 0 freezes it
    weight_decay: float = 1e-4  # AdamW, not on norms, biases and positions
    warmup: float = 0.05  # share of the steps over which the learning rate rises
    schedule: Literal["cosine", "flat"] = "cosine"  # after the warm-up
    clip: float = 0.1  # largest norm of the gradient
    ema_decay: float = 0.999  # of the averaged weights that are validated and kept; rises from 0.1 over the first steps
    freeze: tuple[Part, ...] = ()  # parts that keep their weights, beside those with a multiplier of 0
    lora_rank: int = 0  # above 0 only low-rank adapters of the linear layers and the heads learn
    lora_alpha: float = 16.0  # adapters are scaled by lora_alpha / lora_rank
    loss: LossProfile = "auto"  # of the paper the checkpoint's family comes from, or with IoU-aware class targets
    encoder_loss: float = 1.0  # weight of the proposals' terms
    cost_behind: float = 0.0  # price in the match of a query that began behind a better one, on the same place
    near: float = 0.0  # weight of the box losses of all queries that began on a labelled box, not of its answer alone
    look_forward_twice: bool = True  # a decoder layer's boxes also teach the layer before it
    denoising: int = 100  # noised copies of each kind, near and far, an image, as in the papers; 0: none
    denoising_boxes: int = 200  # most labelled boxes of an image that are copied, a bound on memory
    label_noise: float = 0.5  # twice the share of the copies that get a wrong name
    box_noise: float = 1.0  # largest shift of a copy's edges, in half widths and heights
    dense_steps: int = 0  # of the steps, the first ones, that teach the proposals by a dense one-to-many loss instead
    dropout: float = 0.0  # encoder and decoder; checkpoints say 0.1, their authors trained with 0
    fusion_dropout: float = 0.0  # attention between image and text
    flip: float = 0.5  # probability of a mirrored image
    crop: float = 0.3  # probability of a random part of the image
    color: float = 0.2  # largest relative change of brightness, contrast and saturation; hues turn by a tenth of it
    short_side_px: int = 0  # size of images the taught detector works at; 0: as it came
    sizes_px: tuple[int, ...] = ()  # short sides to train at; empty: 0.8 to 1.2 of the one it works at
    negatives: int = 12  # most names in a prompt that are not on the image
    captions: float = 0.5  # share of the dataset's own images of a step that come with a text, where there are any
    replay: float = 0.0  # share of each step's images that repeat what the base model is sure of elsewhere
    replay_images: int = 200  # most images it is asked for that
    replay_threshold: float = 0.5  # lowest score of what is repeated
    novel: tuple[str, ...] = ()  # categories "open" holds out; empty: a quarter of them, drawn by the seed
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 on CUDA
    recompute: bool = False  # activations of all layers are computed anew for the gradient: less memory
    validate_every: int = 0  # steps; 0: once an epoch, but at most `max_validations` times
    max_validations: int = 10  # only read where validate_every is 0
    early_stop: int = 0  # validations without a better AP after which a run ends; 0: never
    validate_images: int = 200  # most images a validation looks at, drawn once by the seed
    hold_out: float = 0.15  # share of the training images to validate on where the dataset has no "val" split
    save_every_s: float = 60.0  # seconds between two states to resume from
    log_every: int = 5  # steps per reported line
    threads: int = 0  # of the processor to compute with; 0: as many as torch takes
    seed: int = 0

    def __post_init__(self) -> None:
        faults = type_faults(vars(self), get_type_hints(type(self))) or _range_faults(self)
        if faults:
            raise ConfigRefused("Training settings: " + "; ".join(faults) + ".")

    def rate_of(self, part: Part) -> float:
        """How much of the learning rate a part of the detector gets; 0: it keeps its weights."""
        if part in self.freeze:
            return 0.0
        return {"text": self.text_multiplier, "backbone": self.backbone_multiplier}.get(part, 1.0)

    def updated(self, settings: Mapping[str, Any]) -> Self:
        """These settings with some replaced; text is read as the setting's own type.

        Raises:
            ConfigRefused: naming every unknown, unreadable or out of range setting at once.
        """
        hints = get_type_hints(type(self))
        values: dict[str, Any] = {}
        faults: list[str] = []
        for key, value in settings.items():
            if key not in hints:
                near = difflib.get_close_matches(str(key), hints, 1)
                meant = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(hints))}"
                faults.append(f"unknown setting {reprlib.repr(key)} ({meant})")
                continue
            try:
                values[key] = read_value(value, hints[key])
            except (ValueError, OverflowError):
                faults.append(f"{key} is {reprlib.repr(value)}, it must be {wanted(hints[key])}")
        candidate = dataclasses.replace(self) if not values else _replaced(self, values, faults)
        if faults:
            raise ConfigRefused("Training settings: " + "; ".join(faults) + ".")
        return candidate


def defaults_for(device: str, images: int, parameters: int = 0, mode: Mode = "vocabulary") -> TrainConfig:
    """Settings that suit a machine, a dataset of `images` training images and a model of `parameters` weights.

    A small model (the starter) takes a high rate everywhere, since it knows few words and fewer pictures, and leaves a
    core of the processor to the page and to the reading of images; denoising cost it time and gave it nothing. Which
    query answers for a thing is taught as in its own training: otherwise it forgets on few photos to leave second boxes
    out: AP50 of raccoons 0.23 instead of 0.69 after 150 steps (docs/log.md). A Swin-sized one follows MM-Grounding-
    DINO's recipe for small datasets, its backbone frozen, and in mode "vocabulary" its text encoder too. Mode
    "vocabulary" repeats what the detector knows, where there are other images: a starter kept a thirtieth of that
    without it, and nine tenths with 0.3 of each step (docs/benchmarks.md).
    A CPU gets few steps. 0 parameters stands for a large model.
    """
    small = 0 < parameters < SMALL_MODEL_PARAMETERS
    cuda = device.startswith("cuda")
    batch_size = max(1, min(8 if small else 4 if cuda else 2, images))
    epoch = max(1, math.ceil(images / batch_size))
    if small:
        steps = max(100, min(20 * epoch, 500 if not cuda else 4000))
    else:
        steps = max(100, min(20 * epoch, 4000)) if cuda else max(40, min(4 * epoch, 200))
    return TrainConfig(
        mode=mode,
        steps=steps,
        batch_size=batch_size,
        accumulate=1 if small else min(2, batch_size),
        learning_rate=1e-3 if small else 1e-4,
        backbone_multiplier=1.0 if small else 0.0,
        text_multiplier=0.5 if small else 0.0 if mode == "vocabulary" else 0.1,
        ema_decay=0.99 if small else 0.999,
        cost_behind=2.0 if small else 0.0,
        denoising=0 if small else 100,
        replay=0.25 if mode == "vocabulary" else 0.0,
        replay_images=200 if cuda or small else 20,
        fusion_dropout=0.0 if small else 0.1,
        max_validations=10 if cuda else 6,
        validate_images=200 if cuda else 100 if small else 30,
        threads=max(1, (os.cpu_count() or 1) - 1) if small else 0,
    )


def load_config(path: Path | None, settings: Sequence[str], base: TrainConfig) -> TrainConfig:
    """`base` changed by a YAML file and then by "KEY=VALUE" texts.

    Raises:
        ConfigRefused: the file is missing or no flat YAML mapping, a text has no "=", or a setting is wrong.
    """
    values = {} if path is None else read_yaml(path)
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigRefused(f"{text!r} is no KEY=VALUE. Write for example learning_rate=0.0002.")
        values[key.strip()] = value.strip()
    return base.updated(values)


def _replaced(config: TrainConfig, values: Mapping[str, Any], faults: list[str]) -> Any:
    try:
        return dataclasses.replace(config, **values)
    except ConfigRefused as error:
        faults.append(str(error).removeprefix("Training settings: ").removesuffix("."))
        return config


_AT_LEAST_ONE = ("steps", "accumulate", "max_validations", "validate_images", "log_every", "denoising_boxes")
_ZERO_OR_MORE = (
    "batch_size", "negatives", "validate_every", "seed", "threads", "weight_decay", "save_every_s", "lora_rank",
    "encoder_loss", "cost_behind", "near", "denoising", "box_noise", "dense_steps", "replay_images", "early_stop",
)  # fmt: skip
_POSITIVE = ("learning_rate", "clip", "lora_alpha")
_SHARES = (
    "warmup", "backbone_multiplier", "text_multiplier", "flip", "crop", "dropout", "fusion_dropout", "label_noise",
    "captions", "replay_threshold",
)  # fmt: skip


def _range_faults(config: TrainConfig) -> list[str]:
    learning = {part for part in get_args(Part) if config.rate_of(part) > 0}
    rules = [(name, getattr(config, name) >= 1, "1 or more") for name in _AT_LEAST_ONE]
    rules += [(name, 0 <= getattr(config, name) < math.inf, "0 or more") for name in _ZERO_OR_MORE]
    rules += [(name, 0 < getattr(config, name) < math.inf, "above 0") for name in _POSITIVE]
    rules += [(name, 0 <= getattr(config, name) <= 1, "between 0 and 1") for name in _SHARES]
    rules += [
        ("ema_decay", 0 <= config.ema_decay < 1, "at least 0 and below 1"),
        ("hold_out", 0 < config.hold_out < 1, "between 0 and 1"),
        ("color", 0 <= config.color < 1, "at least 0 and below 1"),
        (
            "accumulate",
            config.batch_size <= 0 or config.accumulate <= config.batch_size,  # a wrong batch_size is told alone
            f"at most batch_size ({config.batch_size})",
        ),
        ("seed", config.seed < 2**32, "below 4294967296"),
        ("replay", 0 <= config.replay < 1, "at least 0 and below 1"),
        ("novel", config.mode == "open" or not config.novel, f"left empty in mode {config.mode}: set mode to open"),
        ("dense_steps", config.dense_steps == 0 or config.dense_steps < config.steps, f"below steps ({config.steps})"),
        ("dense_steps", config.dense_steps == 0 or bool(learning - {"decoder"}), "0 where only the decoder learns"),
        ("lora_rank", config.lora_rank == 0 or bool(learning - {"heads"}), "0 where only heads learn, or freeze fewer"),
        ("short_side_px", config.short_side_px == 0 or 32 <= config.short_side_px <= 4096, "0 or between 32 and 4096"),
        ("sizes_px", all(32 <= size <= 4096 for size in config.sizes_px), "sides between 32 and 4096"),
    ]
    return [f"{name} is {getattr(config, name)!r}, it must be {wanted}" for name, met, wanted in rules if not met]
