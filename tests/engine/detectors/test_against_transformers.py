"""Boxes, scores and masks are what transformers' own processors make of the same weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch
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
from tests.ties import assert_same_up_to_ties
from tests.tiny_phrase_detectors import Kind

NAMES = ["cat", "red car", "dog"]
ONTOLOGY = Ontology.from_names(NAMES)


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


def assert_same(ours: sv.Detections, theirs: dict[str, torch.Tensor], class_ids: Any, image: Picture) -> None:
    """The same boxes, scores, classes and masks; their boxes clipped to the picture, those of nothing left out."""
    height, width = image.shape[:2]
    boxes = clip(theirs["boxes"].numpy(), width, height)
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    masks = theirs["masks"].numpy()[real].astype(bool) if "masks" in theirs else None
    scores, classes = theirs["scores"].numpy()[real], np.broadcast_to(class_ids, len(boxes))[real]
    expected = sv.Detections(boxes[real], masks, scores, classes)
    assert_same_up_to_ties(ours, expected, score=1e-5, box_px=1e-4 * max(height, width))


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
        assert_same(own, theirs, class_id, image)


def test_omdet_turbo_finds_what_its_processor_says(folders: dict[Kind, Path], image: Picture) -> None:
    model, processor = loaded(OmDetTurboForObjectDetection, OmDetTurboProcessor, folders["omdet-turbo"])
    inputs = processor(images=image, text=NAMES, return_tensors="pt", max_length=40, input_data_format="channels_last")
    with torch.no_grad():
        outputs = model(**inputs)
    sizes = [image.shape[:2]]
    (theirs,) = processor.post_process_grounded_object_detection(outputs, threshold=0, target_sizes=sizes)
    ours = load_detector(folders["omdet-turbo"], device="cpu").detect([image], ONTOLOGY, threshold=0, top_k=20)[0]
    assert_same(ours, theirs, theirs["labels"].numpy(), image)
    assert len(ours) < 20  # of the 20 best pairs of query and phrase some were doubles
    assert len(set(ours.data["class_name"])) > 1


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
        assert_same(own, theirs, class_id, image)
        assert 0.05 < np.asarray(own.mask).mean() < 0.95
