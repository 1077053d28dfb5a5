"""The command line as scripts use it: names, exit codes, one line for each mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "launch.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "GROUNDWORK_NO_VENV": "1", "HOME": "/nonexistent"},
    )


@pytest.mark.parametrize(
    "command",
    ["serve", "test", "detect", "import", "label", "accept", "train", "evaluate", "export", "models", "scenes"],
)
def test_every_command_explains_itself(command: str) -> None:
    answer = launch(command, "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith("usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["detect"],
        ["detect", "a.jpg", "--prompt", "cat.", "--threshold", "1.5"],
        ["train", "--dataset", "x", "--steps", "0"],
        ["serve", "--port", "99999"],
        ["export", "--dataset", "x", "--format", "parquet", "--output", "o"],
        ["accept", "--dataset", "x", "--unheard-of"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    answer = launch(*arguments)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr


def test_an_unknown_dataset_is_one_line_and_exits_with_1(tmp_path: Path) -> None:
    answer = launch("export", "--workspace", str(tmp_path), "--dataset", "nope", "--output", str(tmp_path / "out"))
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "'nope'" in answer.stderr


@pytest.mark.parametrize("prompt", ["", " ", "...", "?!.", ". ."])
def test_a_prompt_that_says_nothing_is_one_line(prompt: str, tmp_path: Path) -> None:
    answer = launch("detect", "a.jpg", "--workspace", str(tmp_path), "--prompt", prompt)
    assert answer.returncode == 1
    assert len(answer.stderr.strip().splitlines()) == 1
