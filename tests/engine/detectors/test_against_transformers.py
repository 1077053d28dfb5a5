"""Boxes, scores and masks are what transformers' own processors make of the same weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch
from numpy.typing import NDArray
from transformers import (
    OmDetTurboForObjectDetection,
    OmDetTurboProcessor,
    Owlv2ForObjectDetection,
    Owlv2Processor,
    Sam3Model,
    Sam3Processor,
)

from common.boxes import clip
from engine.checkpoints import load_detector
from engine.ontology import Ontology
from engine.preprocessing import Picture
from engine.pretrained import quiet_transformers
from tests.tiny_phrase_detectors import Kind

NAMES = ["cat", "red car", "dog"]
ONTOLOGY = Ontology.from_names(NAMES)

Boxes = NDArray[np.float32]


def picture(height: int, width: int) -> Picture:
    """Noise of several sizes, so that no two regions look alike."""
    rng = np.random.default_rng(height * width)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3)).repeat(8, 0).repeat(8, 1)[:height, :width]
    return ((coarse + rng.integers(0, 256, (height, width, 3))) // 2).astype(np.uint8)


PICTURES = [picture(70, 100), picture(150, 64), picture(64, 64), picture(60, 200)]


@pytest.fixture(params=PICTURES, ids=lambda image: "x".join(map(str, image.shape[:2])))
def image(request: pytest.FixtureRequest) -> Picture:
    """Wide, tall, square and thin ones."""
    chosen: Picture = request.param
    return chosen


def loaded(model_class: Any, processor_class: Any, folder: Path) -> tuple[Any, Any]:
    with quiet_transformers():
        return model_class.from_pretrained(folder).eval(), processor_class.from_pretrained(folder)


def assert_same(ours: sv.Detections, boxes: torch.Tensor, scores: torch.Tensor, image: Picture) -> NDArray[np.int64]:
    """The same boxes and scores, theirs clipped to the picture and those of nothing left out; their order by score."""
    height, width = image.shape[:2]
    clipped = clip(boxes.detach().numpy(), width, height)
    real = np.flatnonzero((clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1]))
    order = real[np.argsort(-scores.detach().numpy()[real], kind="stable")]
    assert len(order) > 0
    assert ours.confidence is not None
    np.testing.assert_allclose(ours.confidence, scores.detach().numpy()[order], atol=1e-5)
    np.testing.assert_allclose(ours.xyxy, clipped[order], atol=1e-4 * max(height, width))
    return order


def test_owlv2_finds_what_its_processor_says(folders: dict[Kind, Path], image: Picture) -> None:
    model, processor = loaded(Owlv2ForObjectDetection, Owlv2Processor, folders["owlv2"])
    ours = load_detector(folders["owlv2"], device="cpu").detect([image], ONTOLOGY, threshold=0)[0]
    for class_id, name in enumerate(NAMES):
        inputs = processor(images=image, text=[[name]], return_tensors="pt", input_data_format="channels_last")
        with torch.no_grad():
            outputs = model(**inputs)
        sizes = torch.tensor([image.shape[:2]])
        (theirs,) = processor.post_process_grounded_object_detection(outputs, threshold=0, target_sizes=sizes)
        own = ours[ours.class_id == class_id]
        assert isinstance(own, sv.Detections)
        assert_same(own, theirs["boxes"], theirs["scores"], image)


def test_omdet_turbo_finds_what_its_processor_says(folders: dict[Kind, Path], image: Picture) -> None:
    model, processor = loaded(OmDetTurboForObjectDetection, OmDetTurboProcessor, folders["omdet-turbo"])
    inputs = processor(images=image, text=NAMES, return_tensors="pt", max_length=40, input_data_format="channels_last")
    with torch.no_grad():
        outputs = model(**inputs)
    sizes = [image.shape[:2]]
    (theirs,) = processor.post_process_grounded_object_detection(outputs, threshold=0, target_sizes=sizes)
    ours = load_detector(folders["omdet-turbo"], device="cpu").detect([image], ONTOLOGY, threshold=0, top_k=20)[0]
    order = assert_same(ours, theirs["boxes"], theirs["scores"], image)
    assert len(order) < 20  # of the 20 best pairs of query and phrase some were doubles
    assert len(set(ours.data["class_name"])) > 1
    np.testing.assert_array_equal(ours.class_id, theirs["labels"].numpy()[order])


def test_sam3_finds_and_draws_what_its_processor_says(folders: dict[Kind, Path], image: Picture) -> None:
    model, processor = loaded(Sam3Model, Sam3Processor, folders["sam3"])
    ours = load_detector(folders["sam3"], device="cpu").detect([image], ONTOLOGY, threshold=0)[0]
    for class_id, name in enumerate(NAMES):
        inputs = processor(images=image, text=name, return_tensors="pt", input_data_format="channels_last")
        inputs.pop("original_sizes")
        with torch.no_grad():
            outputs = model(**inputs)
        (theirs,) = processor.post_process_instance_segmentation(outputs, threshold=0, target_sizes=[image.shape[:2]])
        own = ours[ours.class_id == class_id]
        assert isinstance(own, sv.Detections)
        order = assert_same(own, theirs["boxes"], theirs["scores"], image)
        np.testing.assert_array_equal(own.mask, theirs["masks"].numpy()[order].astype(bool))
        assert 0.05 < np.asarray(own.mask).mean() < 0.95
