import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.checkpoints import load_grounding_detector, save_detector
from engine.grounding import GroundingDetector
from tests.tiny_checkpoint import Backbone, Family, save_tiny_checkpoint, tiny_model
from tests.training.coloured_squares import ONTOLOGY, QUICK, tiny_grounding_detector
from training.errors import AdapterRefused
from training.lora import FOLDER, add_adapter, attached, has_adapter, is_of_adapter, merge_adapter, save_adapter
from training.lora import weights_sha256 as sha256
from training.parameters import choose_trainable, part_of

CONFIG = replace(QUICK, lora_rank=3, lora_alpha=6.0)


def outputs(model: Any) -> tuple[Tensor, Tensor]:
    """Logits and boxes of a picture of noise."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, 3, 96, 128, generator=generator)
    ids = torch.tensor([[101, 200, 201, 1012, 210, 1012, 102]])
    with torch.no_grad():
        found = model.eval()(pixel_values=pixels, pixel_mask=torch.ones(1, 96, 128), input_ids=ids)
    return found.logits[..., : ids.shape[1]], found.pred_boxes


def taught(model: Any) -> Any:
    """The model with an adapter, and every weight that may learn a little moved."""
    generator = torch.Generator().manual_seed(1)
    for parameter in choose_trainable(model, CONFIG).values():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data += 0.02 * noise
    return model


def difference(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def same(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_new_adapter_changes_nothing_and_the_same_seed_draws_the_same() -> None:
    model, again = tiny_model(), tiny_model()
    before, digest = outputs(model), sha256(model)
    state = torch.random.get_rng_state()
    first = choose_trainable(model, CONFIG)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(5)
    second = choose_trainable(again, CONFIG)
    assert same(outputs(model), before)
    assert sha256(model) == digest
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_only_adapters_and_heads_learn_and_a_second_call_changes_nothing() -> None:
    model = tiny_model()
    trainable = choose_trainable(model, CONFIG)
    assert all(is_of_adapter(name) or part_of(name) == "heads" for name in trainable)
    adapted = {part_of(name) for name in trainable if is_of_adapter(name)}
    assert adapted == {"backbone", "text", "neck", "encoder", "decoder"}
    assert list(choose_trainable(model, CONFIG)) == list(trainable)
    assert not any(name.endswith("lora_A.default.base_layer.weight") for name, _ in model.named_parameters())


def test_frozen_parts_get_no_adapter() -> None:
    config = replace(CONFIG, backbone_multiplier=0.0, text_multiplier=0.0, freeze=("neck", "heads"))
    trainable = choose_trainable(tiny_model(), config)
    assert {part_of(name) for name in trainable} == {"encoder", "decoder"}
    assert all(is_of_adapter(name) for name in trainable)


def test_adapters_are_of_the_rank_and_the_scale_asked_for() -> None:
    model: Any = tiny_model()
    add_adapter(model, ["model.encoder.layers.0.deformable_layer.fc1"], CONFIG)
    layer = model.model.encoder.layers[0].deformable_layer.fc1
    assert layer.lora_A["default"].weight.shape == (3, 32)
    assert layer.scaling["default"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("family", "backbone"), [("mm-grounding-dino", "swin"), ("mm-grounding-dino", "resnet"), ("grounding-dino", "swin")]
)
def test_a_merged_detector_is_a_plain_one_that_says_the_same(family: Family, backbone: Backbone) -> None:
    plain = tiny_model(family, backbone)
    model = taught(tiny_model(family, backbone))
    unmerged = outputs(model)
    assert difference(unmerged, outputs(plain)) > 1e-2
    merge_adapter(model)
    torch.testing.assert_close(outputs(model), unmerged, rtol=1e-4, atol=1e-4)
    assert not has_adapter(model)
    assert list(model.state_dict()) == list(plain.state_dict())
    assert not hasattr(model, "peft_config")


def test_a_gradient_reaches_every_adapter() -> None:
    """A layer whose weight is read past its module would never feel its adapter."""
    model = taught(tiny_model())
    pixels = torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[101, 200, 201, 1012, 210, 1012, 102]])
    found = model(pixel_values=pixels, pixel_mask=torch.ones(1, 96, 128), input_ids=ids)
    (found.logits[..., :7].sum() + found.pred_boxes.sum()).backward()
    adapters = {name: value for name, value in model.named_parameters() if is_of_adapter(name)}
    without = [name for name, value in adapters.items() if value.grad is None or not value.grad.any()]
    # The last encoder layer's text goes on to nobody but the decoder; a softmax forgets what all keys share.
    assert [name for name in without if "key" not in name] == []


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_tiny_checkpoint(tmp_path / "base")


def publish(base: Path, folder: Path) -> tuple[GroundingDetector, tuple[Tensor, Tensor]]:
    """Teach the base and save it as a run does; the outputs of the taught one before it was merged."""
    detector = load_grounding_detector(base, device="cpu")
    digest = sha256(detector.model)
    taught(detector.model)
    unmerged = outputs(detector.model)
    folder.mkdir()
    save_adapter(detector.model, folder / FOLDER, str(base), digest)
    merge_adapter(detector.model)
    save_detector(detector, folder)
    return detector, unmerged


def test_a_checkpoint_with_an_adapter_beside_it_loads_as_any_other(base: Path, tmp_path: Path) -> None:
    _, unmerged = publish(base, tmp_path / "mine")
    detector = load_grounding_detector(tmp_path / "mine", device="cpu")
    torch.testing.assert_close(outputs(detector.model), unmerged, rtol=1e-4, atol=1e-4)
    files = {path.name for path in (tmp_path / "mine" / FOLDER).iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "heads.safetensors"} <= files


def test_a_base_runs_with_and_without_its_adapter(base: Path, tmp_path: Path) -> None:
    _, unmerged = publish(base, tmp_path / "mine")
    detector = load_grounding_detector(base, device="cpu")
    plain, digest = outputs(detector.model), sha256(detector.model)
    picture = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    (found,) = detector.detect([picture], ONTOLOGY, threshold=0)
    with attached(detector, tmp_path / "mine") as adapter:
        assert same(outputs(detector.model), unmerged)
        with adapter.off():
            assert same(outputs(detector.model), plain)
            (again,) = detector.detect([picture], ONTOLOGY, threshold=0)
            np.testing.assert_allclose(again.xyxy, found.xyxy, atol=0.01)  # px; the fusion takes another exact way
        assert same(outputs(detector.model), unmerged)
    assert same(outputs(detector.model), plain)
    assert sha256(detector.model) == digest
    assert not has_adapter(detector.model)


def test_with_frozen_heads_the_adapter_is_all_there_is(base: Path, tmp_path: Path) -> None:
    detector = load_grounding_detector(base, device="cpu")
    digest = sha256(detector.model)
    for name, parameter in choose_trainable(detector.model, replace(CONFIG, freeze=("heads",))).items():
        assert is_of_adapter(name)
        parameter.data += 0.02
    expected = outputs(detector.model)
    (tmp_path / "mine").mkdir()
    save_adapter(detector.model, tmp_path / "mine" / FOLDER, str(base), digest)
    again = load_grounding_detector(base, device="cpu")
    with attached(again, tmp_path / "mine"):
        assert same(outputs(again.model), expected)


def test_an_adapter_comes_off_when_the_block_fails(base: Path, tmp_path: Path) -> None:
    publish(base, tmp_path / "mine")
    detector = load_grounding_detector(base, device="cpu")
    plain = outputs(detector.model)
    with pytest.raises(KeyError), attached(detector, tmp_path / "mine") as adapter, adapter.off():
        raise KeyError
    assert same(outputs(detector.model), plain)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft reads an attribute that transformers renamed
def test_peft_itself_loads_the_adapter(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file

    _, unmerged = publish(base, tmp_path / "mine")
    model: Any = load_grounding_detector(base, device="cpu").model
    model.get_input_embeddings = model.model.text_backbone.get_input_embeddings
    wrapped = PeftModel.from_pretrained(model, str(tmp_path / "mine" / FOLDER))
    own = dict(model.named_parameters())
    for name, value in load_file(tmp_path / "mine" / FOLDER / "heads.safetensors").items():
        own[name].data.copy_(value)
    assert same(outputs(wrapped), unmerged)
    facts = json.loads((tmp_path / "mine" / FOLDER / "adapter_config.json").read_text())
    assert (facts["r"], facts["lora_alpha"], facts["base_model_name_or_path"]) == (3, 6.0, str(base))


def test_an_adapter_of_another_base_and_a_missing_or_broken_one_are_refused(base: Path, tmp_path: Path) -> None:
    publish(base, tmp_path / "mine")
    other = tiny_grounding_detector("swin", seed=1)
    digest = sha256(other.model)
    with pytest.raises(AdapterRefused, match="belongs to a base with weights"), attached(other, tmp_path / "mine"):
        pass
    assert sha256(other.model) == digest
    with pytest.raises(AdapterRefused, match="has no adapter"), attached(other, base):
        pass
    shutil.copy(base / "config.json", tmp_path / "mine" / FOLDER / "heads.safetensors")
    with pytest.raises(AdapterRefused, match="can't be read"), attached(other, tmp_path / "mine"):
        pass
