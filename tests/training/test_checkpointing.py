import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.coloured_squares import QUICK, squares, teach, tiny_grounding_detector
from training.config import TrainConfig
from training.errors import StateNotSaved, StateRefused


def run(folder: Path, config: TrainConfig = QUICK, state: Path | None = None, until: int | None = None) -> object:
    """Train a fresh tiny detector, cut off after the state of step `until` is saved; returns its weights."""
    images = squares(folder, 5)
    detector = tiny_grounding_detector()
    for progress in teach(detector, images, config, resume=state):
        if progress.event == "saved" and progress.step == until:
            break
    return detector.model.state_dict()


@pytest.mark.parametrize(
    ("settings", "cut"),
    [
        ({"mode": "closed"}, 1),
        ({"mode": "vocabulary", "accumulate": 2}, 2),
        ({"mode": "vocabulary", "recompute": True, "lora_rank": 2}, 1),
        ({"mode": "closed", "accumulate": 2, "dense_steps": 2, "precision": "bf16"}, 3),
        ({"mode": "open", "denoising": 0}, 3),
    ],
)
def test_a_resumed_training_ends_with_the_weights_of_an_unbroken_one(
    tmp_path: Path, settings: dict[str, object], cut: int
) -> None:
    config = QUICK.updated({"dropout": 0.1, "crop": 0.5, **settings})  # dropout and crops draw at random
    unbroken = run(tmp_path, config)
    state = tmp_path / "state.safetensors"
    run(tmp_path, config, state, until=cut)
    resumed = run(tmp_path, config, state)
    torch.testing.assert_close(resumed, unbroken, rtol=0, atol=0)


def test_a_finished_training_resumes_to_the_same_end(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    finished = run(tmp_path, QUICK, state)
    images = squares(tmp_path, 5)
    detector = tiny_grounding_detector()
    (only,) = teach(detector, images, QUICK, resume=state)
    assert (only.event, only.step) == ("resumed", 4)
    assert only.before is not None
    assert only.best is not None
    torch.testing.assert_close(detector.model.state_dict(), finished, rtol=0, atol=0)


def test_a_state_holds_no_pickle_and_only_what_learns(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    run(tmp_path, QUICK.updated({"text_multiplier": 0}), state)
    names = load_file(state).keys()
    assert {name.split("/")[0] for name in names} == {"model", "ema", "best", "adam"}
    assert not [name for name in names if "text_backbone" in name]
    assert "model/denoising.label_embedding.weight" in names  # it learns, and is no part of the detector
    assert not [name for name in names if "denoising" in name and name.startswith(("ema/", "best/"))]
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"learning_rate": 1e-4, "flip": 0.1}, "other settings .learning_rate, flip."), ({"steps": 9}, "steps")],
)
def test_other_settings_are_refused(tmp_path: Path, changes: dict[str, float], told: str) -> None:
    state = tmp_path / "state.safetensors"
    run(tmp_path, QUICK, state, until=2)
    with pytest.raises(StateRefused, match=told):
        run(tmp_path, QUICK.updated(changes), state)


def test_settings_of_reporting_may_change(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    run(tmp_path, QUICK, state, until=2)
    run(tmp_path, replace(QUICK, log_every=3, save_every_s=100), state)


def test_another_detector_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    run(tmp_path, QUICK, state, until=2)
    images = squares(tmp_path, 2)
    with pytest.raises(StateRefused, match="another detector"):
        next(teach(tiny_grounding_detector("swin"), images, QUICK, resume=state))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_file_that_is_no_state_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    state = tmp_path / "state.safetensors"
    state.write_bytes(content)
    with pytest.raises(StateRefused, match="is no training state") as refused:
        run(tmp_path, QUICK, state)
    assert "\n" not in str(refused.value)


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """The kernel refuses files above this size, as it does where a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_the_last_good_state(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    unbroken = run(tmp_path)
    images = squares(tmp_path, 5)
    training = teach(tiny_grounding_detector(), images, QUICK, resume=state)
    good = b""
    with (
        pytest.raises(StateNotSaved, match="then resume: the state before it is whole") as refused,
        ExitStack() as full,
    ):
        for progress in training:
            if (progress.event, progress.step) == ("saved", 2):
                good = state.read_bytes()
                full.enter_context(largest_file(100_000))
    assert "\n" not in str(refused.value)
    assert state.read_bytes() == good
    assert [path.name for path in tmp_path.glob(".*")] == []
    torch.testing.assert_close(run(tmp_path, QUICK, state), unbroken, rtol=0, atol=0)


def test_a_disk_that_is_full_at_once_does_not_promise_a_state(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    training = teach(tiny_grounding_detector(), squares(tmp_path, 5), QUICK, resume=state)
    with pytest.raises(StateNotSaved, match="begins anew, as no state was saved before"), largest_file(100_000):
        list(training)
    assert not state.exists()
