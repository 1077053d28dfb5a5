from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SamModel, SamProcessor

from engine.segmenters.sam_transformers import load_transformers_sam
from tests.training.segmenter.tiny import TINY
from training.segmenter.export import export
from training.segmenter.model import build_segmenter

BOXES = np.array([[5, 5, 60, 40], [30, 10, 90, 70]], np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = build_segmenter(TINY)
    export(model, tmp_path)
    assert next(model.parameters()).dtype == torch.float32  # the model itself stays as it was
    return tmp_path


def test_an_export_gives_plain_transformers_the_masks_that_the_engine_finds(folder: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    model = SamModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
    processor = SamProcessor.from_pretrained(folder, local_files_only=True)
    inputs = processor(image, input_boxes=[BOXES.tolist()], return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs, multimask_output=False)
    sizes = (inputs["original_sizes"], inputs["reshaped_input_sizes"])
    (expected,) = processor.image_processor.post_process_masks(outputs.pred_masks, *sizes)  # (2, 1, 80, 100)
    segmenter = load_transformers_sam(folder, device="cpu")
    segmenter.set_image(image)
    found = segmenter.predict(boxes_xyxy=BOXES)
    assert (found == expected[:, 0].numpy()).mean() > 0.99


def test_an_export_holds_weights_in_half_precision(folder: Path) -> None:
    parameters = sum(value.numel() for value in build_segmenter(TINY).parameters())
    assert (folder / "model.safetensors").stat().st_size < 2 * parameters + 30_000
