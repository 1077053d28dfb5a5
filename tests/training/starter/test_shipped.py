"""The weights that come with the repository."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, MMGroundingDinoForObjectDetection

from common.images import read_image
from engine.checkpoints import STARTER, load_detector
from engine.detector import Detector
from engine.ontology import Ontology
from training.worlds.verdicts import judged

EXAMPLES = Path(__file__).parents[3] / "app" / "examples"
MAX_BYTES = 12_000_000


@pytest.fixture(scope="module")
def starter() -> Detector:
    return load_detector("starter", device="cpu")


def examples() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))["images"]
    return rows


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in STARTER.iterdir()) <= MAX_BYTES


def test_it_loads_in_plain_transformers() -> None:
    model = MMGroundingDinoForObjectDetection.from_pretrained(STARTER, local_files_only=True, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(STARTER, local_files_only=True)
    ids = tokenizer("cat. zeppelin.", return_tensors="pt")
    with torch.no_grad():
        outputs = model.eval()(pixel_values=torch.zeros(1, 3, 240, 320), **ids)
    assert torch.isfinite(outputs.pred_boxes).all()


def test_it_answers_the_questions_of_the_examples(starter: Detector) -> None:
    verdicts = [judged(starter, read_image(EXAMPLES / example["file"]), example) for example in examples()]
    assert all(verdict.is_right for verdict in verdicts), verdicts


def test_it_finds_little_that_nobody_asked_for(starter: Detector) -> None:
    images = [read_image(EXAMPLES / example["file"]) for example in examples()]
    found = starter.detect(images, Ontology.from_names(["whale", "umbrella", "typewriter", "cactus"]), threshold=0.4)
    assert np.mean([len(each) for each in found]) <= 0.5
