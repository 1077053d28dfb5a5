"""Both stages of the starter's training, a few steps of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoints import STARTER
from tests.training.test_processes import torchrun
from tests.training.worlds.font import needs_font
from training.errors import StateRefused
from training.starter import stages
from training.starter.__main__ import main
from training.starter.batches import BatchRules
from training.starter.model import build_starter, starter_config
from training.starter.prompts import PromptRules
from training.starter.stages import DENSE, FULL, FURTHER, StageConfig, begin, run
from training.starter.states import load_average, load_checkpoint, load_state, save_state
from training.starter.tokenizer import build_tokenizer

pytestmark = needs_font


def small(stage: StageConfig, steps: int = 5, bfloat16: bool = False) -> StageConfig:
    return replace(
        stage,
        steps=steps,
        warmup=2,
        bfloat16=bfloat16,
        prompts=PromptRules(names=(3,)),
        batches=BatchRules(scenes=2, longest=(96,), told_share=stage.batches.told_share),
    )


def small_model() -> Any:
    return build_starter(starter_config(len(build_tokenizer()), width=32, queries=20))


@pytest.mark.parametrize("stage", [DENSE, FULL])
def test_five_steps_change_the_model_and_its_average(stage: StageConfig) -> None:
    model = small_model()
    state = begin(small(stage), model)
    before = {name: value.clone() for name, value in model.named_parameters()}
    steps = list(run(state, build_tokenizer(), workers=0))
    assert [progress.step for progress in steps] == [1, 2, 3, 4, 5]
    moved = {name.split(".")[1] for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert {"backbone", "text_backbone", "enc_output", "encoder_output_bbox_embed"} <= moved
    assert all(torch.isfinite(value).all() for value in state.average.values.values())


def test_a_frozen_stem_stays_as_it_is_with_its_statistics() -> None:
    model = small_model()
    resnet = model.model.backbone.conv_encoder.model
    still = {name: value.clone() for name, value in resnet.state_dict().items()}
    state = begin(small(FURTHER, 2), model)
    list(run(state, build_tokenizer(), workers=0))
    moved = {name for name, value in resnet.state_dict().items() if not torch.equal(value, still[name])}
    assert moved
    assert all(name.startswith(("encoder.stages.1.", "encoder.stages.2.", "encoder.stages.3.")) for name in moved)
    assert any("running_mean" in name for name in moved)


@pytest.mark.parametrize(("told_share", "terms"), [(0.0, {"naming"}), (1.0, {"naming", "pointing"})])
def test_names_are_taught_and_with_a_text_for_each_scene_what_it_points_at(told_share: float, terms: set[str]) -> None:
    config = small(FULL, 2)
    config = replace(config, batches=replace(config.batches, told_share=told_share))
    losses = [progress.losses for progress in run(begin(config, small_model()), build_tokenizer(), workers=0)]
    layers = {f"{kind}_{layer}" for layer in (0, 1, 2, "enc") for kind in ("class", "l1", "giou")}
    assert set(losses[0]) == layers | terms | {"l1_cells", "giou_cells", "sides"}


def test_bfloat16_stays_near_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "multiplies_bfloat16", lambda _: True)  # slow where it is imitated
    losses = []
    for bfloat16 in (False, True):
        state = begin(small(FULL, 1, bfloat16), small_model())
        (progress,) = run(state, build_tokenizer(), workers=0)
        losses.append(sum(progress.losses.values()))
    assert losses[0] == pytest.approx(losses[1], rel=0.1)
    assert losses[0] != losses[1]


def test_a_training_taken_up_again_ends_where_it_would_have(tmp_path: Path) -> None:
    config = small(FULL)
    whole = begin(config, small_model())
    for progress in run(whole, build_tokenizer(), workers=0):
        if progress.step == 3:
            save_state(whole, tmp_path / "full.pt")

    resumed = begin(config, small_model())
    load_state(resumed, tmp_path / "full.pt")
    assert [progress.step for progress in run(resumed, build_tokenizer(), workers=0)] == [4, 5]

    for mine, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(resumed.average.values, whole.average.values, rtol=1e-4, atol=1e-5)
    assert whole.reader.weight.any()
    torch.testing.assert_close(resumed.reader.weight, whole.reader.weight, rtol=1e-4, atol=1e-5)


def test_the_averaged_weights_of_a_stage_are_loaded_whole(tmp_path: Path) -> None:
    state = begin(small(DENSE, 2), small_model())
    list(run(state, build_tokenizer(), workers=0))
    save_state(state, tmp_path / "dense.pt")
    model = small_model()
    load_average(model, tmp_path / "dense.pt")
    for name, value in model.named_parameters(remove_duplicate=False):
        torch.testing.assert_close(value.detach(), state.average.values[name], rtol=0, atol=0)
    assert any(not torch.equal(value, state.average.values[name]) for name, value in state.model.named_parameters())


def test_a_state_of_another_stage_is_refused(tmp_path: Path) -> None:
    save_state(begin(small(DENSE), small_model()), tmp_path / "dense.pt")
    with pytest.raises(StateRefused, match="stage 'dense', not 'full'"):
        load_state(begin(small(FULL), small_model()), tmp_path / "dense.pt")


def test_a_state_of_other_settings_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "dense.pt"
    state = begin(small(DENSE, 2), small_model())
    list(run(state, build_tokenizer(), workers=0))
    save_state(state, file)
    for config, width, reason in (
        (replace(small(DENSE, 2), seed=5), 32, "another --seed"),
        (small(DENSE, 1), 32, "at step 2, and 1 are wanted"),
        (small(DENSE, 2), 64, "no starter of this shape"),
        (replace(small(DENSE, 2), frozen=2), 32, "other settings"),
    ):
        other = build_starter(starter_config(len(build_tokenizer()), width=width, queries=20))
        with pytest.raises(StateRefused, match=reason) as refused:
            load_state(begin(config, other), file)
        assert "\n" not in str(refused.value)
    with pytest.raises(StateRefused, match="no starter of this shape"):
        load_average(other := build_starter(starter_config(len(build_tokenizer()), width=64, queries=20)), file)
    assert other.training


def test_the_rate_warms_up_stays_and_falls() -> None:
    config = replace(FULL, steps=1000, warmup=100, flat=0.3)
    assert config.rate(0) == pytest.approx(0.01)
    assert config.rate(200) == 1
    assert config.rate(650) == pytest.approx(0.51)  # halfway down the cosine: 0.02 + 0.98 / 2
    assert config.rate(999) == pytest.approx(0.02, abs=1e-3)


@pytest.mark.slow
def test_a_training_goes_on_from_an_exported_starter(tmp_path: Path) -> None:
    assert main([str(tmp_path), f"--weights={STARTER}", "--full-steps=1", "--scenes=1", "--threads=1"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["further.pt"]
    trained, before = (build_starter(starter_config(len(build_tokenizer()))) for _ in range(2))
    load_checkpoint(before, STARTER)
    load_average(trained, tmp_path / "further.pt")
    distances = [
        float((mine - theirs).detach().abs().max())
        for mine, theirs in zip(trained.parameters(), before.parameters(), strict=True)
    ]
    assert 0 < max(distances) < 1e-3  # one step of a rate that only begins to rise


def test_weights_that_are_not_there_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "work"), f"--weights={tmp_path}"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("options", [["--keep=0.3"], ["--keep=2", "--weights=x"], ["--keep=some", "--weights=x"]])
def test_a_part_to_keep_that_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "work"), f"--export={tmp_path / 'out'}", *options])
    assert "error: " in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_two_processes_train_together_and_the_first_one_writes(tmp_path: Path) -> None:
    command = (
        "-m",
        "training.starter",
        str(tmp_path),
        "--threads=1",
        "--scenes=1",
        "--dense-steps=2",
        "--full-steps=1",
    )
    ended = torchrun(*command)
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense.pt", "full.pt"]


def test_torchrun_leaves_each_option_to_the_training(tmp_path: Path) -> None:
    numbers = ("dense-steps", "full-steps", "scenes", "threads", "workers", "seed", "save-every", "keep")
    options = [word for name in numbers for word in (f"--{name}", "1")]
    missing = ("--device", "cpu", "--weights", str(tmp_path))
    ended = torchrun("-m", "training.starter", str(tmp_path / "work"), *options, *missing)
    assert ended.returncode != 0
    assert "holds no starter" in ended.stderr  # which only the training says
