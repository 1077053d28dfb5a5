"""What `train` tells a person."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import launch
from tests.training.test_lesson import captioned_only, other_dataset
from tests.training.workspaces import QUICK_SETTINGS, Bench, add_squares, make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "workspace")
    yield made
    made.store.close()


def taught(bench: Bench, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[list[str], list[str]]:
    """The lines of a training of two steps on stdout, and those on stderr."""
    settings = [word for text in QUICK_SETTINGS for word in ("--set", text)]
    words = ["train", "--workspace", str(bench.root), "--detector", str(bench.detector), "--dataset", "squares"]
    arguments = launch.parser().parse_args([*words, "--steps", "2", *settings, *flags])
    assert arguments.function(arguments) == 0
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err.splitlines()


def test_held_out_categories_and_what_is_kept_stand_beside_the_ap(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    add_squares(bench, train=4, val=2)
    other_dataset(bench, 4)
    flags = ("--mode", "open", "--set", "novel=red car", "--set", "replay_threshold=0.03")
    out, err = taught(bench, capsys, *flags)
    assert [line.split()[0] for line in out[1:-1]] == ["AP", "AP50", "AP50_base", "AP50_novel", "kept"]
    assert out[-2].endswith("of what it was sure of on other images")
    assert any(line.startswith("step 2: AP ") and " AP50_novel " in line for line in err)


def test_of_texts_alone_recall_and_precision_are_told(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    captioned_only(bench)
    out, err = taught(bench, capsys)
    assert [line.split()[0] for line in out[1:-1]] == ["R@1", "P@1"]
    assert any(line.startswith("step 0: R@1 ") for line in err)
