import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from engine.checkpoints import load_detector, load_grounding_detector, save_detector
from engine.errors import CheckpointRefused, EngineError, WeightsMissing
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from engine.preprocessing import Preprocessing
from tests.tiny_checkpoint import Backbone, Family, save_tiny_checkpoint, tiny_model, tiny_tokenizer

ONTOLOGY = Ontology.from_prompt("cat. red car.")
PICTURE = np.random.default_rng(0).integers(0, 256, (100, 140, 3), dtype=np.uint8)


@pytest.fixture
def checkpoint(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "checkpoint"))


def change(folder: Path, edit: Callable[[dict[str, Any]], object], name: str = "config.json") -> None:
    settings = json.loads((folder / name).read_text())
    edit(settings)
    (folder / name).write_text(json.dumps(settings))


@pytest.mark.parametrize("family", ["mm-grounding-dino", "grounding-dino"])
@pytest.mark.parametrize("backbone", ["swin", "resnet"])
def test_a_saved_detector_finds_the_same_again(tmp_path: Path, family: Family, backbone: Backbone) -> None:
    detector = GroundingDetector(tiny_model(family, backbone), tiny_tokenizer(), Preprocessing(96, 160))
    save_detector(detector, tmp_path)
    loaded = load_grounding_detector(tmp_path, device="cpu")
    before, after = (d.detect([PICTURE], ONTOLOGY, threshold=0)[0] for d in (detector, loaded))
    assert len(before) > 0
    np.testing.assert_array_equal(before.xyxy, after.xyxy)
    np.testing.assert_array_equal(before.confidence, after.confidence)
    assert (loaded.name, loaded.device, loaded.preprocessing) == (tmp_path.name, "cpu", Preprocessing(96, 160))
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())  # so that what is folded is kept


def test_a_checkpoint_stored_in_half_precision_runs_in_float32(
    tmp_path: Path, tiny_detector: GroundingDetector
) -> None:
    save_detector(tiny_detector, tmp_path, dtype=torch.float16)
    with safe_open(tmp_path / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(key).dtype for key in weights.keys()} <= {torch.float16, torch.int64}  # noqa: SIM118
    loaded = load_grounding_detector(tmp_path)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}


def test_transformers_itself_loads_what_we_save(tmp_path: Path, tiny_detector: GroundingDetector) -> None:
    save_detector(tiny_detector, tmp_path)
    model = AutoModelForZeroShotObjectDetection.from_pretrained(tmp_path)
    processor = AutoProcessor.from_pretrained(tmp_path)
    inputs = processor(images=PICTURE, text="cat. red car.", return_tensors="pt")
    with torch.no_grad():
        theirs = model(**inputs).logits[0, :, :7].sigmoid()
    # Their resizing is torchvision's, ours Pillow's: the same filter, rounded differently.
    ours = tiny_detector.detect([PICTURE], Ontology.from_prompt("cat"), threshold=0)
    assert theirs.shape == (20, 7)
    assert len(ours[0]) == 20


def test_a_checkpoint_of_plain_transformers_loads(tiny_folder: Path) -> None:
    assert load_detector(tiny_folder, name="mine").name == "mine"


def test_a_missing_folder_says_so() -> None:
    with pytest.raises(WeightsMissing, match=r"No checkpoint folder at no such place"):
        load_detector("no such place")


def test_a_hub_id_that_is_not_cached_says_how_to_fetch_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissing, match="models pull nobody/nothing"):
        load_detector("nobody/nothing")


def test_a_folder_without_weights_says_so(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(WeightsMissing, match=r"model\.safetensors is missing"):
        load_detector(checkpoint)


def test_a_folder_without_config_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"config\.json is missing"):
        load_detector(tmp_path)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_weights_that_are_only_a_pickle_are_refused_unread(checkpoint: Path, name: str) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / name).write_bytes(pickle.dumps(Canary(checkpoint / "canary")))
    with pytest.raises(CheckpointRefused, match=f"{name}, a pickle, which can run code"):
        load_detector(checkpoint)
    assert not (checkpoint / "canary").exists()


def test_a_pickle_beside_safetensors_is_never_read(checkpoint: Path) -> None:
    (checkpoint / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(checkpoint / "canary")))
    load_detector(checkpoint)
    assert not (checkpoint / "canary").exists()


POISONS: list[Callable[[dict[str, Any]], object]] = [
    lambda config: config.update(auto_map={"AutoModel": "evil.Model"}),
    lambda config: config.update(trust_remote_code=True),
    lambda config: config.update(_attn_implementation_internal="evil/kernel"),
    lambda config: config["text_config"].update(_attn_implementation_internal="eager"),
    lambda config: config["backbone_config"].update(attn_implementation="evil/kernel"),
    lambda config: config.update(attn_implementation={"text_config": "evil/kernel"}),
    lambda config: config["text_config"].update(auto_map={"AutoModel": "evil.Model"}),
    lambda config: config.update(model_type="llama"),
    lambda config: config.pop("model_type"),
    lambda config: config["text_config"].update(model_type="evil"),
    lambda config: config.update(text_config="evil/repository"),
    lambda config: config.update(backbone="evil/backbone"),
    lambda config: config.update(use_timm_backbone=True),
]


@pytest.mark.parametrize("poison", POISONS)
def test_a_config_that_could_run_code_is_refused_in_one_line(
    checkpoint: Path, poison: Callable[[dict[str, Any]], object]
) -> None:
    change(checkpoint, poison)
    with pytest.raises(CheckpointRefused) as refusal:
        load_detector(checkpoint)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_queries", "many"),
        ("d_model", 0),
        ("d_model", -1),
        ("encoder_attention_heads", 0),
        ("init_std", []),
        ("two_stage", "yes"),
        ("position_embedding_type", "none"),
        ("text_config", {"model_type": "bert", "vocab_size": "x"}),
        ("text_config", {"model_type": []}),
        ("text_config", []),
        ("backbone_config", {"model_type": "swin", "depths": "deep"}),
    ],
)
def test_a_config_of_nonsense_is_refused_in_one_line(checkpoint: Path, key: str, value: object) -> None:
    change(checkpoint, lambda config: config.update({key: value}))
    with pytest.raises(CheckpointRefused) as refusal:
        load_detector(checkpoint)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "poison",
    [
        lambda settings: settings.update(auto_map={"AutoTokenizer": ["evil.Tokenizer", None]}),
        lambda settings: settings.update(tokenizer_class="EvilTokenizer"),
    ],
)
def test_a_tokenizer_that_could_run_code_is_refused(
    checkpoint: Path, poison: Callable[[dict[str, Any]], object]
) -> None:
    change(checkpoint, poison, "tokenizer_config.json")
    with pytest.raises(CheckpointRefused):
        load_detector(checkpoint)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_config_is_refused(checkpoint: Path, content: bytes) -> None:
    (checkpoint / "config.json").write_bytes(content)
    with pytest.raises(CheckpointRefused, match=r"config\.json") as refusal:
        load_detector(checkpoint)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("length", [0, 7, 1000, 300_000])
def test_truncated_weights_are_refused(checkpoint: Path, length: int) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:length])
    with pytest.raises(CheckpointRefused, match="do not load"):
        load_detector(checkpoint)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.level_embed.fill_(float("nan"))
    save_detector(GroundingDetector(model, tiny_tokenizer(), Preprocessing(96, 160)), tmp_path)
    with pytest.raises(CheckpointRefused, match=r"no numbers in 'model\.level_embed'"):
        load_detector(tmp_path)


def test_weights_of_another_size_are_refused(checkpoint: Path) -> None:
    change(checkpoint, lambda config: config.update(num_queries=30))
    with pytest.raises(CheckpointRefused, match="do not load"):
        load_detector(checkpoint)


def test_weights_that_lack_a_layer_are_refused_and_not_made_up(checkpoint: Path) -> None:
    change(checkpoint, lambda config: config.update(encoder_layers=3))
    with pytest.raises(CheckpointRefused, match=r"lack \d+ tensors, 'model\.encoder\.layers\.2"):
        load_detector(checkpoint)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "x.bin"])
def test_a_shard_outside_the_folder_is_refused(checkpoint: Path, name: str) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(CheckpointRefused, match="no file of this folder"):
        load_detector(checkpoint)


def test_a_missing_shard_says_so(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "1.safetensors"}}))
    with pytest.raises(WeightsMissing, match=r"lacks 1\.safetensors"):
        load_detector(checkpoint)


def test_a_folder_without_tokenizer_is_refused(checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(CheckpointRefused, match=r"no tokenizer\.json"):
        load_detector(checkpoint)


def test_a_tokenizer_with_a_full_stop_elsewhere_is_refused(checkpoint: Path) -> None:
    text = (checkpoint / "tokenizer.json").read_text()
    moved = text.replace('".": 1012', '"[unused1012]": 1012').replace('"[unused0]"', '"."').replace("[unused1011]", ".")
    (checkpoint / "tokenizer.json").write_text(moved)
    with pytest.raises(CheckpointRefused, match=r"'\.' at id 1011, not 1012"):
        load_detector(checkpoint)


def test_an_unknown_device_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(EngineError, match="Device 'gpu7' is unknown"):
        load_detector(tiny_folder, device="gpu7")
    with pytest.raises(EngineError, match="'cuda:99' is not on this machine"):
        load_detector(tiny_folder, device="cuda:99")


def test_loading_writes_nothing_to_the_console(tiny_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_detector(tiny_folder)
    assert capfd.readouterr() == ("", "")


def test_the_session_checkpoint_holds_each_tensor_once(tmp_path: Path, tiny_detector: GroundingDetector) -> None:
    save_detector(tiny_detector, tmp_path / "whole")
    save_detector(tiny_detector, tmp_path / "half", dtype=torch.float16)
    keys = []
    for name in ("whole", "half"):
        with safe_open(tmp_path / name / "model.safetensors", "pt") as weights:
            keys.append(set(weights.keys()))
    assert keys[0] == keys[1]


def test_a_tiny_checkpoint_takes_less_than_a_second(tmp_path: Path) -> None:
    assert (save_tiny_checkpoint(tmp_path) / "model.safetensors").stat().st_size < 2_000_000
