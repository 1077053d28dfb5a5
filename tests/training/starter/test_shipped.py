"""The weights that come with the repository."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, MMGroundingDinoForObjectDetection

from common.images import read_image
from engine.checkpoints import STARTER, load_detector
from engine.detector import Detector
from engine.ontology import Ontology

EXAMPLES = Path(__file__).parents[3] / "app" / "examples"
MAX_BYTES = 12_000_000


@pytest.fixture(scope="module")
def starter() -> Detector:
    return load_detector("starter", device="cpu")


def examples() -> list[tuple[str, str]]:
    content = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
    return [(row["file"], row["prompt"]) for row in content["images"]]


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in STARTER.iterdir()) <= MAX_BYTES


def test_it_loads_in_plain_transformers() -> None:
    model = MMGroundingDinoForObjectDetection.from_pretrained(STARTER, local_files_only=True, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(STARTER, local_files_only=True)
    ids = tokenizer("cat. zeppelin.", return_tensors="pt")
    with torch.no_grad():
        outputs = model.eval()(pixel_values=torch.zeros(1, 3, 192, 256), **ids)
    assert torch.isfinite(outputs.pred_boxes).all()


@pytest.mark.parametrize(("file", "prompt"), examples())
def test_it_finds_everything_the_example_prompt_names(starter: Detector, file: str, prompt: str) -> None:
    ontology = Ontology.from_prompt(prompt)
    (found,) = starter.detect([read_image(EXAMPLES / file)], ontology)
    assert found.class_id is not None
    assert set(found.class_id.tolist()) == set(range(len(ontology.categories)))


def test_it_finds_nothing_it_was_not_asked_for(starter: Detector) -> None:
    images = [read_image(EXAMPLES / file) for file, _ in examples()]
    found = starter.detect(images, Ontology.from_names(["whale", "umbrella", "typewriter", "cactus"]))
    assert np.mean([len(each) for each in found]) <= 0.5
