from dataclasses import fields
from pathlib import Path

import pytest

from training.config import TrainConfig, defaults_for, load_config
from training.errors import ConfigRefused

STARTER, SWIN = 3_500_000, 173_000_000


def test_all_faults_are_reported_together() -> None:
    with pytest.raises(ConfigRefused) as refused:
        TrainConfig().updated({"steps": "many", "lr": 3, "clip": -1, "mode": "fast"})
    text = str(refused.value)
    assert "\n" not in text
    for part in ("steps is 'many'", "unknown setting 'lr' (known: accumulate", "clip is -1.0", "mode is 'fast'"):
        assert part in text


def test_five_faults_of_a_file_are_five_and_a_misspelt_setting_is_told_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "five.yaml"
    path.write_text("stepz: 4\nlearning_rate: fast\nbatch_size: -2\nmode: everything\nflip: 3\n")
    with pytest.raises(ConfigRefused) as refused:
        load_config(path, [], TrainConfig())
    faults = str(refused.value).removeprefix("Training settings: ").split("; ")
    assert len(faults) == 5
    assert faults[0] == "unknown setting 'stepz' (did you mean steps?)"
    assert "batch_size is -2" in "".join(faults)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 0),
        ("steps", 1.5),
        ("batch_size", True),
        ("learning_rate", float("nan")),
        ("learning_rate", "1e400"),
        ("flip", 1.5),
        ("ema_decay", 1),
        ("sizes_px", "8"),
        ("sizes_px", {"a": 1}),
        ("accumulate", 5),
        ("seed", -1),
        ("seed", 2**32),
        ("steps", 10**400),
    ],
)
def test_a_setting_out_of_range_is_named(key: str, value: object) -> None:
    with pytest.raises(ConfigRefused, match=f"{key} is"):
        TrainConfig(batch_size=4).updated({key: value})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"mode": "vocabulary", "novel": "cat"}, "novel is ('cat',), it must be left empty in mode vocabulary"),
        ({"steps": 100, "dense_steps": 100}, "dense_steps is 100, it must be below steps (100)"),
        (
            {"dense_steps": 5, "freeze": "text,neck,encoder,heads", "backbone_multiplier": 0},
            "dense_steps is 5, it must be 0 where only the decoder learns",
        ),
        (
            {"lora_rank": 4, "freeze": "backbone,neck,encoder,decoder", "text_multiplier": 0},
            "lora_rank is 4, it must be 0 where only heads learn",
        ),
    ],
)
def test_settings_that_take_away_each_others_effect_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        TrainConfig().updated(settings)
    assert told in str(refused.value)


def test_a_part_learns_at_its_own_rate_unless_it_is_frozen() -> None:
    config = TrainConfig(freeze=("text", "neck"), backbone_multiplier=0.2)
    assert [config.rate_of(part) for part in ("backbone", "text", "neck", "heads")] == [0.2, 0.0, 0.0, 1.0]


def test_text_is_read_as_the_settings_own_type() -> None:
    config = TrainConfig().updated({"steps": "50", "learning_rate": "1e-3", "sizes_px": "320, 384", "mode": "closed"})
    assert (config.steps, config.learning_rate, config.sizes_px, config.mode) == (50, 1e-3, (320, 384), "closed")


def test_a_file_is_read_first_and_single_settings_win(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    # YAML 1.1 reads 1e-4 as text, not as a number
    path.write_text("learning_rate: 1e-4\nsteps: 10\nsizes_px: [320, 352]\n")
    config = load_config(path, ["steps=20"], TrainConfig())
    assert (config.learning_rate, config.steps, config.sizes_px) == (1e-4, 20, (320, 352))


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("# nothing yet\n")
    assert load_config(path, [], TrainConfig()) == TrainConfig()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"- steps", "must hold lines like"),
        (b"steps: [", "no readable YAML"),
        (b"\xff\xfe\xff", "no readable YAML"),
        (b"steps: !!python/object/apply:os.system ['true']", "no readable YAML"),
        (b"#" * 70_000, "too many"),
        (b"a: &a [x,x]\nb: &b [*a,*a]\nsteps: [*b,*b]\n", "unknown setting 'a'"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigRefused, match=told) as refused:
        load_config(path, [], TrainConfig())
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_text_without_equals_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="No such file"):
        load_config(tmp_path / "none.yaml", [], TrainConfig())
    with pytest.raises(ConfigRefused, match="'steps' is no KEY=VALUE"):
        load_config(None, ["steps"], TrainConfig())


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("images", [1, 7, 205, 100_000])
@pytest.mark.parametrize("parameters", [0, STARTER, SWIN])
def test_defaults_are_valid_for_any_machine_and_dataset(device: str, images: int, parameters: int) -> None:
    config = defaults_for(device, images, parameters)
    assert config.batch_size <= images
    assert config.steps >= 1


@pytest.mark.parametrize("name", ["near", "cost_behind", "encoder_loss", "weight_decay"])
@pytest.mark.parametrize("value", ["-1", "inf", "nan"])
def test_a_weight_is_a_finite_number_of_0_or_more(name: str, value: str) -> None:
    with pytest.raises(ConfigRefused, match=f"{name} is .*, it must be 0 or more"):
        TrainConfig().updated({name: value})


def test_a_small_model_learns_everything_and_a_large_one_keeps_its_backbone() -> None:
    assert defaults_for("cpu", 205, STARTER).backbone_multiplier == 1
    assert defaults_for("cuda", 205, SWIN).backbone_multiplier == 0


def test_only_mode_vocabulary_repeats_what_the_detector_knew() -> None:
    assert defaults_for("cpu", 205, STARTER).replay > 0
    assert defaults_for("cpu", 205, STARTER, "closed").replay == 0
    assert defaults_for("cpu", 205, SWIN).replay_images < defaults_for("cuda", 205, SWIN).replay_images


def test_only_a_large_model_is_shown_noised_copies() -> None:
    assert defaults_for("cpu", 205, STARTER).denoising == 0
    assert defaults_for("cuda", 205, SWIN).denoising == 100


def test_only_a_small_detector_is_taught_which_query_answers() -> None:
    assert defaults_for("cpu", 205, STARTER).cost_behind == 2
    assert defaults_for("cuda", 205, SWIN).cost_behind == 0


def test_only_a_large_model_keeps_its_text_encoder_and_only_in_mode_vocabulary() -> None:
    assert defaults_for("cuda", 205, SWIN).text_multiplier == 0
    assert defaults_for("cuda", 205, SWIN, "closed").text_multiplier > 0
    assert defaults_for("cpu", 205, STARTER).text_multiplier > 0


def test_every_setting_stands_in_the_document_with_its_default() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    table = {row.split("|")[1].strip(" `"): row.split("|")[2].strip() for row in text.splitlines() if row[:3] == "| `"}
    defaults = {field.name: str(field.default) for field in fields(TrainConfig)}
    defaults |= {"learning_rate": "0.0001", "weight_decay": "0.0001"}  # not as 1e-4
    assert {name: default for name, default in table.items() if name in defaults} == defaults
