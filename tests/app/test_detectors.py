"""The detectors that cannot be taught, at the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import launch
from tests.tiny_phrase_detectors import KINDS, Kind, save_tiny_phrase_detector
from tests.training.checks.faulty import add_dataset, clean
from tests.training.workspaces import make_bench

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_detect_answers_with_each_of_them(kind: Kind, tmp_path: Path) -> None:
    folder = save_tiny_phrase_detector(tmp_path / "checkpoint", kind)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    words = ["--prompt", "cat. red car.", "--threshold", "0.01", "--json"]
    places = ["--detector", str(folder), "--workspace", str(tmp_path / "workspace")]
    answer = subprocess.run(
        [sys.executable, "launch.py", "detect", str(tmp_path / "photo.png"), *words, *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={"PATH": "/usr/bin:/bin", "GROUNDWORK_NO_VENV": "1", "HOME": "/nonexistent"},
    )
    assert answer.returncode == 0, answer.stderr
    (image,) = json.loads(answer.stdout)["images"]
    assert {row["category"] for row in image["detections"]} <= {"cat", "red car"}
    assert len(image["detections"]) > 0
    for row in image["detections"]:
        x1, y1, x2, y2 = row["xyxy"]
        assert 0 <= x1 < x2 <= 100 and 0 <= y1 < y2 <= 70 and 0 < row["score"] <= 1
        assert ("mask" in row) == (kind == "sam3")


@pytest.mark.parametrize(
    "command", [["train", "--steps", "2"], ["train", "--check"], ["preview", "--output", "preview"]], ids=" ".join
)
def test_none_of_them_can_be_taught(command: list[str], tmp_path: Path) -> None:
    folder = save_tiny_phrase_detector(tmp_path / "mine", "owlv2")
    bench = make_bench(tmp_path / "workspace")
    add_dataset(bench.store, bench.root / "images", clean())
    bench.store.close()
    arguments = [*command, "--dataset", "shelf", "--workspace", str(bench.root), "--detector", str(folder)]
    parsed = launch.parser().parse_args(arguments)
    with pytest.raises(Exception, match=r"is a model of type 'owlv2', which finds things but cannot be taught. Teach "):
        parsed.function(parsed)


def test_masks_that_a_detector_draws_itself_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save_tiny_phrase_detector(tmp_path / "checkpoint", "sam3")
    pixels = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    said = []
    for flags in (["--json"], ["--json", "--masks"]):
        words = ["detect", str(tmp_path / "photo.png"), "--prompt", "cat.", "--threshold", "0.01", *flags]
        places = ["--detector", str(folder), "--workspace", str(tmp_path / "workspace")]
        parsed = launch.parser().parse_args([*words, *places])
        assert parsed.function(parsed) == 0
        said.append(json.loads(capsys.readouterr().out)["images"])
    assert said[0] == said[1] and said[0][0]["detections"]
