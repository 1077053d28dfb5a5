"""The training of the starter segmenter, a few steps of it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.segmenter.tiny import TINY, tiny_rules
from tests.training.worlds.font import needs_font
from training.errors import StateRefused
from training.segmenter.__main__ import main
from training.segmenter.course import CourseConfig, CourseState, begin, load_state, run, save_state
from training.segmenter.edges import edge_loss
from training.segmenter.model import SegmenterSize, build_segmenter, enlarge
from training.segmenter.places import learn_places

pytestmark = needs_font


def config(steps: int = 6) -> CourseConfig:
    return CourseConfig("tiny", steps, warmup=2, bfloat16=False, batches=tiny_rules())


def trained(state: CourseState) -> list[float]:
    return [sum(progress.losses.values()) for progress in run(state, workers=0)]


def test_the_loss_of_what_is_asked_falls() -> None:
    losses = trained(begin(config(60)))
    assert sum(losses[-10:]) < 0.985 * sum(losses[:10])


def test_boxes_and_clicks_are_both_taught() -> None:
    (progress,) = run(begin(config(1)), workers=0)
    assert set(progress.losses) == {"cells", "dice", "iou", "click_cells", "click_dice", "click_iou", "edges"}


def test_a_course_taken_up_again_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = begin(config())
    trained(whole)
    stopped = begin(config())
    steps = run(stopped, workers=0)
    for _ in range(3):
        next(steps)
    save_state(stopped, tmp_path / "tiny.pt")
    again = begin(config())
    load_state(again, tmp_path / "tiny.pt")
    assert again.step == 3
    trained(again)
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], value, rtol=0, atol=0)
    for name, value in whole.average.values.items():
        torch.testing.assert_close(again.average.values[name], value, rtol=0, atol=0)


def test_a_state_of_more_steps_or_of_another_size_is_refused(tmp_path: Path) -> None:
    state = begin(config(3))
    state.step = 3
    save_state(state, tmp_path / "tiny.pt")
    with pytest.raises(StateRefused, match="at step 3, and 2 are wanted"):
        load_state(begin(config(2)), tmp_path / "tiny.pt")
    other = begin(replace(config(3), batches=replace(tiny_rules(), size=replace(TINY, layers=TINY.layers + 1))))
    with pytest.raises(StateRefused, match="other settings") as refused:
        load_state(other, tmp_path / "tiny.pt")
    assert "\n" not in str(refused.value)


def test_a_larger_segmenter_takes_over_what_a_smaller_one_knows() -> None:
    small, large = build_segmenter(TINY, seed=1), build_segmenter(replace(TINY, side=2 * TINY.side), seed=2)
    enlarge(small, large)
    weights = large.state_dict()
    for name, value in small.state_dict().items():
        if name == "vision_encoder.pos_embed":
            # Every cell became four, so that their mean stays about what it was.
            torch.testing.assert_close(weights[name].mean((1, 2)), value.mean((1, 2)), rtol=0.1, atol=0.05)
        else:
            torch.testing.assert_close(weights[name], value, rtol=0, atol=0)


def test_the_rate_warms_up_stays_and_falls() -> None:
    rates = [replace(config(100), warmup=10, flat=0.5).rate(step) for step in (0, 9, 50, 75, 99)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[1] == rates[2] == 1
    assert rates[3] == pytest.approx(0.505)  # halfway down the cosine from 1 to 0.01
    assert rates[4] < 0.02


def test_an_export_without_a_training_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--export", str(tmp_path / "weights")]) == 1
    assert "Train with `python -m training.segmenter" in capsys.readouterr().err


def test_places_are_learnt_without_any_picture() -> None:
    model = build_segmenter(SegmenterSize(side=96, layers=1, everywhere=()))
    before = model.vision_encoder.patch_embed.projection.weight.clone()
    dice = list(learn_places(model, 140, seed=0))
    assert sum(dice[-10:]) < 0.9 * sum(dice[:10])
    torch.testing.assert_close(model.vision_encoder.patch_embed.projection.weight, before, rtol=0, atol=0)


def test_edges_are_told_by_an_embedding_that_knows_them() -> None:
    owners = torch.zeros(1, 8, 8, dtype=torch.long)
    owners[:, :, 4:] = 1
    blind, sure = torch.zeros(1, 9, 8, 8), torch.full((1, 9, 8, 8), -20.0)
    sure[:, 0, :, 3] = 20  # the neighbour to the right is another's only at the border
    sure[:, 2, :, 1:4] = 20  # 3 to the right
    sure[:, 4, :, 2:4] = 20  # 2 down and 2 to the right
    sure[:, 5, :, 4:6] = 20  # 2 down and 2 to the left
    sure[:, 6, :, 0:4] = 20  # 7 to the right: only the first column has such a neighbour
    sure[:, 8, :, 4:] = 20  # a thing
    assert edge_loss(sure, owners) < 1e-4
    assert edge_loss(blind, owners) == pytest.approx(math.log(2), abs=1e-4)
