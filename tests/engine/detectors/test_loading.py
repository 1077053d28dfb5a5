import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.checkpoints import as_teachable, load_detector, load_grounding_detector
from engine.detector import Detector
from engine.detectors.phrases import PhraseDetector
from engine.errors import CheckpointRefused, EngineError, WeightsMissing
from engine.ontology import Ontology
from tests.tiny_phrase_detectors import KINDS, Kind, as_video_model

ONTOLOGY = Ontology.from_prompt("cat. red car.")
PICTURE = np.random.default_rng(0).integers(0, 256, (100, 140, 3), dtype=np.uint8)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def checkpoint(folders: dict[Kind, Path], kind: Kind, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders[kind], tmp_path / "checkpoint"))


def change(folder: Path, edit: Callable[[dict[str, Any]], object], name: str = "config.json") -> None:
    settings = json.loads((folder / name).read_text())
    edit(settings)
    (folder / name).write_text(json.dumps(settings))


def refusal_of(folder: Path) -> str:
    with pytest.raises(CheckpointRefused) as refusal:
        load_detector(folder, device="cpu")
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def answer(folder: Path) -> tuple[Any, Any]:
    (found,) = load_detector(folder, device="cpu").detect([PICTURE], ONTOLOGY, threshold=0)
    assert len(found) > 0
    return found.xyxy, found.confidence


def test_a_folder_answers_by_its_model_type(checkpoint: Path) -> None:
    detector: Detector = load_detector(checkpoint, device="cpu")
    assert isinstance(detector, PhraseDetector)
    assert (detector.name, detector.device) == ("checkpoint", "cpu")
    assert load_detector(checkpoint, device="cpu", name="mine").name == "mine"


def test_the_older_layout_of_published_folders_is_read_as_well(checkpoint: Path) -> None:
    """preprocessor_config.json, vocab.json and merges.txt instead of processor_config.json and tokenizer.json."""
    expected = answer(checkpoint)
    images = json.loads((checkpoint / "processor_config.json").read_text())["image_processor"]
    (checkpoint / "processor_config.json").unlink()
    (checkpoint / "preprocessor_config.json").write_text(json.dumps(images))
    model = json.loads((checkpoint / "tokenizer.json").read_text())["model"]
    (checkpoint / "tokenizer.json").unlink()
    (checkpoint / "vocab.json").write_text(json.dumps(model["vocab"]))
    (checkpoint / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]))
    for one, other in zip(answer(checkpoint), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["sam3"])
def test_a_sam3_video_model_answers_as_the_detector_within(checkpoint: Path) -> None:
    expected = answer(checkpoint)
    for one, other in zip(answer(as_video_model(checkpoint)), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["sam3"])
def test_a_sam3_video_model_of_unknown_parts_is_refused(checkpoint: Path) -> None:
    as_video_model(checkpoint)
    change(checkpoint, lambda config: config["detector_config"]["text_config"].update(model_type="bert"))
    assert "detector_config.text_config of type 'bert'" in refusal_of(checkpoint)


@pytest.mark.parametrize(
    "poison",
    [
        lambda config: config.update(auto_map={"AutoModel": "evil.Model"}),
        lambda config: config["text_config"].update(auto_map={"AutoModel": "evil.Model"}),
        lambda config: config["text_config"].update(attn_implementation="evil/kernel"),
        lambda config: config.update(model_type="owlvit"),
        lambda config: config.update(text_config="evil/repository"),
        lambda config: config["text_config"].update(hidden_size="wide"),
        lambda config: config["text_config"].update(max_position_embeddings=5),
        lambda config: config["text_config"].update(num_hidden_layers=3),
    ],
)
def test_a_config_of_nonsense_or_code_is_refused_in_one_line(
    checkpoint: Path, poison: Callable[[dict[str, Any]], object]
) -> None:
    change(checkpoint, poison)
    refusal_of(checkpoint)


@pytest.mark.parametrize("kind", ["omdet-turbo", "sam3"])
def test_a_part_of_an_unknown_kind_is_refused(checkpoint: Path, kind: Kind) -> None:
    change(checkpoint, lambda config: config["text_config"].update(model_type="roberta"))
    assert "text_config of type 'roberta'. Use one of clip_text_model" in refusal_of(checkpoint)


@pytest.mark.parametrize("kind", ["omdet-turbo"])
@pytest.mark.parametrize(
    "backbone",
    [
        {"use_timm_backbone": True, "backbone": "hf-hub:evil/backbone", "backbone_config": None},
        {"use_timm_backbone": True, "backbone": ["swin"], "backbone_config": None},
        {"backbone_config": {"model_type": "timm_backbone", "backbone": "resnet50"}},
        {"backbone_config": {"model_type": "timm_backbone"}},
        {"backbone_config": {"model_type": "timm_backbone", "backbone": "swin_tiny_patch4_window7_224"}},  # no weights
    ],
)
def test_an_omdet_turbo_on_an_unknown_backbone_of_timm_is_refused(checkpoint: Path, backbone: dict[str, Any]) -> None:
    change(checkpoint, lambda config: config.update(backbone))
    refusal_of(checkpoint)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"model": {"type": "BPE"}}'])
def test_a_broken_tokenizer_is_refused(checkpoint: Path, content: str) -> None:
    (checkpoint / "tokenizer.json").write_text(content)
    assert "tokenizer" in refusal_of(checkpoint)


def test_a_folder_without_tokenizer_is_refused(checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").unlink()
    assert "no tokenizer.json" in refusal_of(checkpoint)


def test_a_tokenizer_of_another_class_is_refused(checkpoint: Path) -> None:
    change(checkpoint, lambda settings: settings.update(tokenizer_class="T5Tokenizer"), "tokenizer_config.json")
    assert "'T5Tokenizer'. Use a checkpoint with a CLIP one." in refusal_of(checkpoint)


def test_a_tokenizer_whose_texts_end_elsewhere_is_refused(checkpoint: Path) -> None:
    text = (checkpoint / "tokenizer.json").read_text()
    swapped = text.replace("<|endoftext|>", "<|x|>").replace("<|startoftext|>", "<|endoftext|>")
    (checkpoint / "tokenizer.json").write_text(swapped.replace("<|x|>", "<|startoftext|>"))
    assert "where the model looks for the end" in refusal_of(checkpoint)


@pytest.mark.parametrize(
    "edit",
    [
        lambda images: images.update(size={"height": 10**6, "width": 10**6}),
        lambda images: images.update(size={"shortest_edge": 64, "longest_edge": 128}),
        lambda images: images.update(size={"height": 64, "width": 96}),
        lambda images: images.update(size="large"),
        lambda images: images.update(image_mean="grey"),
    ],
)
def test_image_settings_that_fit_no_network_are_refused(
    checkpoint: Path, edit: Callable[[dict[str, Any]], Any]
) -> None:
    change(checkpoint, lambda settings: edit(settings["image_processor"]), "processor_config.json")
    refusal_of(checkpoint)


@pytest.mark.parametrize("kind", ["owlv2", "sam3"])
def test_pictures_of_another_size_than_the_networks_positions_are_refused(checkpoint: Path) -> None:
    size = {"height": 112, "width": 112}
    change(checkpoint, lambda settings: settings["image_processor"].update(size=size), "processor_config.json")
    assert "pictures of 112 x 112 pixels, not" in refusal_of(checkpoint)


def test_weights_that_are_absent_or_cut_are_refused(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "do not load" in refusal_of(checkpoint)
    weights.rename(checkpoint / "pytorch_model.bin")
    assert "a pickle, which can run code" in refusal_of(checkpoint)
    (checkpoint / "pytorch_model.bin").unlink()
    with pytest.raises(WeightsMissing):
        load_detector(checkpoint, device="cpu")


def test_loading_and_finding_write_nothing_to_the_console(checkpoint: Path, capfd: pytest.CaptureFixture[str]) -> None:
    answer(checkpoint)
    assert capfd.readouterr() == ("", "")


def test_who_teaches_is_told_that_it_cannot_be_taught(checkpoint: Path, kind: Kind) -> None:
    with pytest.raises(EngineError, match=rf"'checkpoint' is a model of type '{kind}'.* cannot be taught. Teach the "):
        load_grounding_detector(checkpoint, device="cpu")
    with pytest.raises(EngineError, match=r"'mine' is of another kind.* cannot be taught"):
        as_teachable(load_detector(checkpoint, device="cpu", name="mine"))
