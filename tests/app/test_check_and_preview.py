"""`train --check` and `preview` as scripts use them."""

import json
from pathlib import Path
from typing import Any

import pytest

import launch
from tests.training.checks.faulty import BALL, Photo, add_dataset, clean
from tests.training.workspaces import Bench, make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made = make_bench(tmp_path / "workspace")
    yield made
    made.store.close()


def run(bench: Bench, *words: str) -> int:
    """One command in this process."""
    flags = ["--workspace", str(bench.root), "--detector", str(bench.detector)]
    arguments = launch.parser().parse_args([*words, *flags])
    return int(arguments.function(arguments))


def test_a_dataset_that_can_be_taught_is_said_to_be(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    add_dataset(bench.store, bench.root / "images", clean())
    assert run(bench, "train", "--check", "--dataset", "shelf", "--steps", "5") == 0
    assert capsys.readouterr().out == "A run can start. 0 warnings.\n"


def test_every_problem_has_a_line_and_an_error_fails(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    photos = [*clean(), Photo("twice.png", [BALL, BALL], picture=50)]
    add_dataset(bench.store, bench.root / "images", photos, [("cat", ()), ("Cat", ()), ("dog", ())])
    assert run(bench, "train", "--check", "--dataset", "shelf") == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "1 error keeps a run on 'shelf' from starting."
    lines = said.out.splitlines()
    assert "'cat (cat, Cat)'" in lines[0]
    assert [line.split(":")[0] for line in lines] == ["error", "warning", "warning"]
    assert "'twice.png'" in lines[-1]


def test_the_document_has_what_the_lines_have(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    add_dataset(bench.store, bench.root / "images", [*clean(), Photo("twice.png", [BALL, BALL], picture=50)])
    assert run(bench, "train", "--check", "--dataset", "shelf", "--steps", "5", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["errors"], document["warnings"]) == (0, 1)
    assert document["problems"][0]["kind"] == "same_box_twice"
    assert document["problems"][0]["where"] == ["twice.png"]


def test_faults_of_the_settings_are_told_together_before_anything_is_read(bench: Bench) -> None:
    wrong = [f"--set={text}" for text in ("steps=x", "flip=2", "loss=l2", "clip=0", "unheard=1")]
    with pytest.raises(ValueError, match=r"unheard.*") as refusal:
        run(bench, "train", "--check", "--dataset", "nothing", *wrong)
    assert all(name in str(refusal.value) for name in ("steps", "flip", "loss", "clip", "unheard"))


def test_a_preview_is_a_folder_with_sheets_and_a_page(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_dataset(bench.store, bench.root / "images", clean())
    out = tmp_path / "out"
    assert run(bench, "preview", "--dataset", "shelf", "--output", str(out), "--count", "7", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == ["index.html", "sheet-1.png", "sheet-2.png"] == sorted(p.name for p in out.iterdir())
    assert len(document["samples"]) == 7
    for sample in document["samples"]:
        assert sample["image"].startswith("train-")
        for box in sample["boxes"]:
            assert " ".join(sample["tokens"][place] for place in box["tokens"]) == box["name"]
    with pytest.raises(FileExistsError):
        run(bench, "preview", "--dataset", "shelf", "--output", str(out))


def test_a_preview_leaves_out_what_is_gone_and_shows_what_the_settings_say(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_dataset(bench.store, bench.root / "images", clean())
    (bench.root / "images" / "train-1.png").unlink()
    settings = ["--mode", "closed", "--set", "sizes_px=64,64", "--set", "batch_size=0"]
    assert run(bench, "preview", "--dataset", "shelf", "--output", str(tmp_path / "out"), "--json", *settings) == 0
    samples = json.loads(capsys.readouterr().out)["samples"]
    assert {min(sample["size_hw"]) for sample in samples} == {64}
    assert {" ".join(sample["tokens"]) for sample in samples} == {"[CLS] blue ball . red car . [SEP]"}
    assert "train-1.png" not in {sample["image"] for sample in samples}
