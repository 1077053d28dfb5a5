"""launch.py detect on what people really have: broken files, pictures of a hundred megapixels, endless vocabularies."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.app.test_launch import ROOT, launch
from tests.tiny_checkpoint import save_tiny_checkpoint


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


def detect(detector: Path, workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return launch("detect", *arguments, "--workspace", str(workspace), "--detector", str(detector), "--json")


def test_a_broken_image_is_named_and_the_others_are_answered(detector: Path, tmp_path: Path) -> None:
    for name in ("good.jpg", "good2.jpg"):
        Image.new("RGB", (160, 120), "red").save(tmp_path / name)
    content = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "broken.jpg").write_bytes(content[: len(content) // 2])
    paths = [str(tmp_path / name) for name in ("good.jpg", "broken.jpg", "good2.jpg")]
    answer = detect(detector, tmp_path / "w", *paths, "--prompt", "cat.", "--threshold", "0")
    images = json.loads(answer.stdout)["images"]
    assert [row["file"] for row in images] == [paths[0], paths[2]]
    assert images[0]["detections"]
    assert images[0]["detections"] == images[1]["detections"]
    assert answer.returncode == 1
    assert [line for line in answer.stderr.splitlines() if "'broken.jpg' can't be decoded" in line]


def test_a_category_that_is_too_long_is_refused_by_its_name_in_one_line(detector: Path, tmp_path: Path) -> None:
    Image.new("RGB", (160, 120), "red").save(tmp_path / "good.jpg")
    prompt = "dog. " + "cat " * 300 + "."
    answer = detect(detector, tmp_path / "w", str(tmp_path / "good.jpg"), "--prompt", prompt)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "category 'cat cat cat" in answer.stderr
    assert "takes 300 tokens; the detector reads 253 a phrase" in answer.stderr


def test_tiles_answer_with_the_same_document(detector: Path, tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize((400, 300), Image.Resampling.NEAREST).save(tmp_path / "a.png")
    documents: list[dict[str, Any]] = []
    for tiles in ((), ("--tiles",), ("--tiles", "150")):
        words = (str(tmp_path / "a.png"), "--prompt", "cat. dog.", "--threshold", "0.05", *tiles)
        documents.append(json.loads(detect(detector, tmp_path / "w", *words).stdout))
    for document in documents:
        (image,) = document["images"]
        assert (image["width"], image["height"]) == (400, 300)
        assert set(image["detections"][0]) == {"category", "score", "xyxy", "phrase"}
    assert documents[0]["images"] != documents[1]["images"] != documents[2]["images"]


def test_an_image_that_is_taken_for_the_side_of_tiles_is_told_where_it_belongs(detector: Path, tmp_path: Path) -> None:
    answer = detect(detector, tmp_path, "--prompt", "cat.", "--tiles", "a.jpg")
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1].endswith("'a.jpg' is not a whole number; images come before --tiles")


@pytest.mark.slow
def test_a_picture_of_12000_by_9000_pixels_is_answered_within_two_gigabytes_and_a_half(
    detector: Path, tmp_path: Path
) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize((12_000, 9000), Image.Resampling.NEAREST).save(tmp_path / "large.jpg")
    code = (
        # Not ru_maxrss, which begins with that of the process that started this one.
        "import sys, launch; status = launch.main(sys.argv[1:]); "
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM')); "
        "print(int(peak.split()[1]) // 1024, file=sys.stderr); sys.exit(status)"
    )
    for tiles in ((), ("--tiles", "3000")):
        words = ("detect", str(tmp_path / "large.jpg"), "--prompt", "cat.", "--detector", str(detector), "--json")
        answer = subprocess.run(
            [sys.executable, "-c", code, *words, "--workspace", str(tmp_path / "w"), *tiles],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env=dict(os.environ) | {"GROUNDWORK_NO_VENV": "1", "HOME": "/nonexistent"},
        )
        assert answer.returncode == 0, answer.stderr
        (image,) = json.loads(answer.stdout)["images"]
        assert (image["width"], image["height"]) == (12_000, 9000)
        assert int(answer.stderr.splitlines()[-1]) < 2500
