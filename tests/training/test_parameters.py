from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_checkpoint import Family, tiny_model
from tests.training.coloured_squares import QUICK
from training.config import Part, TrainConfig
from training.errors import ConfigRefused
from training.parameters import choose_trainable, optimizer_for, part_of, set_mode

PARTS: tuple[Part, ...] = ("backbone", "text", "neck", "encoder", "decoder", "heads")


def inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.tensor([[101, 200, 1012, 102]])
    pixels = torch.randn(1, 3, 64, 64, generator=generator)
    return {"pixel_values": pixels, "pixel_mask": torch.ones(1, 64, 64), "input_ids": ids}


@pytest.mark.parametrize("family", ["mm-grounding-dino", "grounding-dino"])
def test_every_part_has_parameters_and_the_heads_are_only_heads(family: Family) -> None:
    model = tiny_model(family)
    of_part = {part: [n for n, _ in model.named_parameters() if part_of(n) == part] for part in PARTS}
    assert all(of_part.values())
    assert all("embed" in name or "enc_output" in name for name in of_part["heads"])


@pytest.mark.parametrize("part", PARTS)
def test_a_frozen_part_keeps_its_weights_and_the_others_learn(part: Part) -> None:
    model = tiny_model(backbone="resnet")
    trainable = choose_trainable(model, replace(QUICK, freeze=(part,)))
    assert {part_of(name) for name in trainable} == set(PARTS) - {part}


def test_a_multiplier_of_zero_freezes_whatever_else_is_frozen() -> None:
    trainable = choose_trainable(tiny_model(), replace(QUICK, text_multiplier=0.0, freeze=("neck",)))
    assert {part_of(name) for name in trainable} == {"backbone", "encoder", "decoder", "heads"}


def test_to_freeze_everything_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigRefused, match=r"freeze is backbone, text, .* leaves nothing to learn"):
        choose_trainable(tiny_model(), replace(QUICK, freeze=PARTS))


@pytest.mark.parametrize("part", ["backbone", "text", "encoder", "decoder"])
def test_a_frozen_part_has_no_dropout(part: Part) -> None:
    model: Any = tiny_model()
    config = replace(QUICK, freeze=(part,))
    choose_trainable(model, config)
    set_mode(model, config)
    module = {
        "backbone": model.model.backbone,
        "text": model.model.text_backbone,
        "encoder": model.model.encoder,
        "decoder": model.model.decoder,
    }
    assert {name: any(m.training for m in found.modules()) for name, found in module.items()} == {
        name: name != part for name in module
    }


def test_the_denoising_beside_a_detector_learns_at_the_full_rate_whatever_is_frozen() -> None:
    embedding = {"denoising.embedding.weight": nn.Parameter(torch.zeros(2, 2))}
    (group,) = optimizer_for(embedding, replace(QUICK, freeze=("heads",))).param_groups
    assert group["share"] == 1.0


def saved_bytes(model: nn.Module, config: TrainConfig, names: Sequence[str]) -> dict[str, int]:
    """How much the named modules keep for the backward pass; storages of parameters do not count."""
    choose_trainable(model, config)
    set_mode(model, config)
    own = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}
    kept: dict[str, dict[int, int]] = {name: {} for name in names}
    inside: list[str] = []

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if inside and storage.data_ptr() not in own:
            kept[inside[-1]][storage.data_ptr()] = storage.nbytes()
        return value

    for name in names:
        module = model.get_submodule(name)
        module.register_forward_pre_hook(lambda *_, name=name: inside.append(name))
        module.register_forward_hook(lambda *_: inside.clear())
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        model(**inputs())
    return {name: sum(sizes.values()) for name, sizes in kept.items()}


def test_a_frozen_backbone_and_text_encoder_keep_nothing_for_the_backward_pass() -> None:
    names = ("model.backbone", "model.text_backbone", "model.encoder")
    learning = saved_bytes(tiny_model(), QUICK, names)
    frozen = saved_bytes(tiny_model(), replace(QUICK, freeze=("backbone", "text")), names)
    assert min(learning.values()) > 1_000
    assert (frozen["model.backbone"], frozen["model.text_backbone"]) == (0, 0)
    assert frozen["model.encoder"] == learning["model.encoder"]
    assert saved_bytes(
        tiny_model(), replace(QUICK, freeze=("backbone", "text", "neck", "encoder")), names
    ) == dict.fromkeys(names, 0)
