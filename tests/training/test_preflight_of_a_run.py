"""What a run checks before its first step."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from annotations import runs
from tests.training.checks.faulty import BALL, Photo, add_dataset, clean
from tests.training.workspaces import QUICK_SETTINGS, Bench, make_bench
from training.checks.overfit import check_overfit
from training.job import run_training
from training.preflight import PreflightRefused


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "workspace")
    yield made
    made.store.close()


def test_every_error_is_in_the_one_line_a_run_fails_with(bench: Bench) -> None:
    categories = [("cat", ()), ("Cat", ()), ("...", ()), ("ω", ())]
    add_dataset(bench.store, bench.root / "images", clean(), categories)
    with pytest.raises(PreflightRefused, match=r"for 3 reasons: .*'\.\.\.'.*'cat \(cat, Cat\)'.*'ω'"):
        run_training(bench.store, bench.root, bench.request("shelf"))
    with bench.store.reading() as session:
        (run,) = runs.runs(session)
        assert run.state == "failed"
        assert "for 3 reasons" in (run.error or "")


def test_what_is_only_worth_knowing_is_told_and_what_is_broken_is_left_out(bench: Bench) -> None:
    photos = [*clean(), Photo("twice.png", [BALL, BALL], picture=50), Photo("broken.png", picture=51)]
    add_dataset(bench.store, bench.root / "images", photos)
    (bench.root / "images" / "broken.png").write_bytes(b"no picture")
    document = run_training(bench.store, bench.root, bench.request("shelf", steps=12))
    assert document["state"] == "done"  # it came past every image
    assert any("'twice.png'" in note for note in document["notes"])


def test_a_rate_that_teaches_nothing_is_told_before_the_first_step(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.job.check_overfit", partial(check_overfit, seconds=600))  # for a busy machine
    add_dataset(bench.store, bench.root / "images", clean())
    settings = (*QUICK_SETTINGS, "learning_rate=1e-8", "validate_every=40", "batch_size=1")
    document = run_training(bench.store, bench.root, bench.request("shelf", steps=40, settings=settings))
    assert any("The loss of a single batch went from" in note for note in document["notes"])
