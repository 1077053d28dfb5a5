"""A detector is tried on one batch, and nothing of it is left behind."""

from pathlib import Path

import pytest
import torch

from engine.grounding import GroundingDetector
from tests.training.coloured_squares import QUICK, batches_of, squares, tiny_grounding_detector
from training.checks.overfit import check_overfit, overfit
from training.checks.problem import Report
from training.config import TrainConfig

LONG = QUICK.updated({"steps": 100, "learning_rate": 0.005, "validate_every": 50})


def tried(folder: Path, config: TrainConfig, detector: GroundingDetector | None = None) -> Report:
    detector = detector or tiny_grounding_detector()
    return check_overfit(detector, batches_of(detector, squares(folder, 4), config), config, seconds=600)


def test_a_detector_that_learns_its_batch_gives_no_problem(tmp_path: Path) -> None:
    assert tried(tmp_path, LONG).problems == ()


def test_a_rate_too_low_to_learn_is_told_with_its_numbers(tmp_path: Path) -> None:
    (problem,) = tried(tmp_path, LONG.updated({"learning_rate": 1e-7})).problems
    assert (problem.kind, problem.severity) == ("does_not_overfit", "warning")
    assert "learning_rate (now 1e-07)" in problem.line


def test_a_loss_that_is_no_number_keeps_the_run_from_starting(tmp_path: Path) -> None:
    detector = tiny_grounding_detector()
    with torch.no_grad():
        detector.model.model.level_embed.fill_(float("nan"))
    (problem,) = tried(tmp_path, LONG, detector).errors
    assert problem.kind == "diverges"


@pytest.mark.parametrize("broken", [False, True])
def test_weights_modes_and_random_states_are_as_before(tmp_path: Path, broken: bool) -> None:
    detector = tiny_grounding_detector()
    if broken:
        with torch.no_grad():
            detector.model.model.level_embed.fill_(float("nan"))
    weights = {name: value.clone() for name, value in detector.model.state_dict().items()}
    learning = {name: value.requires_grad for name, value in detector.model.named_parameters()}
    torch.manual_seed(5)
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    tried(tmp_path, LONG, detector)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert {name: value.requires_grad for name, value in detector.model.named_parameters()} == learning
    assert all(value.grad is None for value in detector.model.parameters())
    assert not detector.model.training
    for name, value in detector.model.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0, equal_nan=True)


def test_a_short_run_is_not_made_longer(tmp_path: Path) -> None:
    assert tried(tmp_path, QUICK.updated({"steps": 20, "learning_rate": 1e-9})).problems == ()


def test_it_ends_when_its_time_is_up(tmp_path: Path) -> None:
    detector = tiny_grounding_detector()
    batches = batches_of(detector, squares(tmp_path, 4), LONG)
    assert overfit(detector, batches(1), LONG, seconds=0).steps == 0
