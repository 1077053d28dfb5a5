"""A starter's weights from and to files."""

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoints import STARTER
from training.errors import StateRefused
from training.starter.export import export
from training.starter.model import build_starter, starter_config
from training.starter.states import blend, load_checkpoint
from training.starter.tokenizer import build_tokenizer


def model(width: int = 32, seed: int = 0) -> Any:
    return build_starter(starter_config(len(build_tokenizer()), width=width, queries=20), seed)


def test_an_exported_starter_can_be_trained_on(tmp_path: Path) -> None:
    exported, other = model(), model(seed=1)
    for module in exported.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.uniform_(-1, 1)
    export(exported, build_tokenizer(), tmp_path)
    load_checkpoint(other, tmp_path)
    wanted, found = exported.state_dict(), other.state_dict()
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=2**-10, atol=2**-24, msg=name)  # half precision
    assert all(parameter.requires_grad for parameter in other.parameters())


def test_the_shipped_starter_can_be_trained_on() -> None:
    load_checkpoint(build_starter(starter_config(len(build_tokenizer()))), STARTER)


def test_another_shape_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StateRefused, match="no starter of this shape") as refused:
        load_checkpoint(model(), STARTER)
    assert "\n" not in str(refused.value)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateRefused, match="nowhere"):
        load_checkpoint(model(), tmp_path / "nowhere")


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_blended_numbers_lie_between_the_models_and_the_exported_ones(tmp_path: Path, share: float) -> None:
    trained, began = model(), model(seed=1)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    export(began, build_tokenizer(), tmp_path)
    blend(trained, tmp_path, share)
    for name, value in trained.state_dict().items():
        wanted = (1 - share) * before[name] + share * began.state_dict()[name]
        torch.testing.assert_close(value, wanted.to(value.dtype), rtol=2**-9, atol=2**-12, msg=name)


def test_a_model_is_not_blended_with_another_shape(tmp_path: Path) -> None:
    other = model()
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(StateRefused, match="no starter of this shape"):
        blend(other, STARTER, 0.5)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
