import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor
from transformers import SamImageProcessor

from engine.errors import CheckpointRefused, EngineError, WeightsMissing
from engine.preprocessing import Picture
from engine.segmenters.base import MaskPrompts, Masks, Segmenter, masks_at_once
from engine.segmenters.closer import CloserLook
from engine.segmenters.loading import load_segmenter
from engine.segmenters.sam import Sam, load_sam
from engine.segmenters.sam_transformers import TransformersSam, load_transformers_sam
from tests.tiny_sam import save_tiny_sam, tiny_sam, tiny_transformers_sam, tiny_transformers_sam2

BOXES = np.array([[5, 5, 60, 40], [30, 10, 90, 70], [0, 0, 100, 80]], np.float32)
POINTS = np.array([[[20, 20]], [[50, 50]], [[90, 10]]], np.float32)


@pytest.fixture
def image() -> Picture:
    return np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)


def original() -> tuple[Segmenter, torch.nn.Module]:
    segmenter = Sam(tiny_sam(), device="cpu")
    return segmenter, segmenter.network.image_encoder


def through_transformers() -> tuple[Segmenter, torch.nn.Module]:
    segmenter = TransformersSam(tiny_transformers_sam(), device="cpu")
    return segmenter, segmenter.model.vision_encoder


def second() -> tuple[Segmenter, torch.nn.Module]:
    segmenter = TransformersSam(tiny_transformers_sam2(), device="cpu")
    return segmenter, segmenter.model.vision_encoder


EVERY_KIND = pytest.mark.parametrize("make", [original, through_transformers, second])
Maker = Callable[[], tuple[Segmenter, torch.nn.Module]]


@EVERY_KIND
def test_the_encoder_runs_once_a_picture_however_many_prompts(make: Maker, image: Picture) -> None:
    segmenter, encoder = make()
    runs: list[int] = []
    encoder.register_forward_hook(lambda *_: runs.append(1))
    segmenter.set_image(image)
    for _ in range(3):
        segmenter.predict(boxes_xyxy=BOXES)
    segmenter.predict(points_xy=POINTS)
    assert len(runs) == 1
    segmenter.set_image(image[:40])
    assert len(runs) == 2


@EVERY_KIND
def test_coming_back_to_a_picture_costs_no_encoder_and_changes_no_mask(make: Maker, image: Picture) -> None:
    segmenter, encoder = make()
    runs: list[int] = []
    encoder.register_forward_hook(lambda *_: runs.append(1))
    other = np.ascontiguousarray(image[:40, :70])
    segmenter.set_image(image)
    first = segmenter.predict(boxes_xyxy=BOXES)
    segmenter.set_image(other)
    elsewhere = segmenter.predict(points_xy=POINTS)
    segmenter.set_image(image)
    np.testing.assert_array_equal(segmenter.predict(boxes_xyxy=BOXES), first)
    segmenter.set_image(other)
    np.testing.assert_array_equal(segmenter.predict(points_xy=POINTS), elsewhere)
    assert len(runs) == 2


def test_embeddings_are_kept_within_their_bytes(image: Picture) -> None:
    segmenter = TransformersSam(tiny_transformers_sam(), device="cpu", keep_bytes=0)
    runs: list[int] = []
    segmenter.model.vision_encoder.register_forward_hook(lambda *_: runs.append(1))
    segmenter.set_image(image)
    segmenter.set_image(image)
    assert len(runs) == 2


@EVERY_KIND
def test_boxes_and_points_each_give_a_mask_of_the_pictures_size(make: Maker, image: Picture) -> None:
    segmenter, _ = make()
    segmenter.set_image(image)
    labels = np.array([[1], [0], [1]])
    for masks in (
        segmenter.predict(boxes_xyxy=BOXES),
        segmenter.predict(points_xy=POINTS),
        segmenter.predict(points_xy=np.repeat(POINTS, 2, axis=1), point_labels=np.repeat(labels, 2, axis=1)),
        segmenter.predict(boxes_xyxy=BOXES, points_xy=POINTS, point_labels=labels),
    ):
        assert masks.shape == (3, 80, 100)
        assert masks.dtype == np.bool_
    assert segmenter.predict(boxes_xyxy=BOXES[:0]).shape == (0, 80, 100)


@EVERY_KIND
def test_a_mask_does_not_depend_on_the_prompts_beside_it(make: Maker, image: Picture) -> None:
    segmenter, _ = make()
    segmenter.set_image(image)
    together = segmenter.predict(boxes_xyxy=BOXES)
    alone = np.concatenate([segmenter.predict(boxes_xyxy=box[None]) for box in BOXES])
    assert (together != alone).mean() < 0.001  # a pixel on the edge may fall either way by rounding


@EVERY_KIND
def test_a_prompt_before_any_picture_is_refused(make: Maker) -> None:
    segmenter, _ = make()
    with pytest.raises(EngineError, match="Call set_image first"):
        segmenter.predict(boxes_xyxy=BOXES)


def test_masks_are_those_of_the_segment_anything_library(image: Picture) -> None:
    ours = Sam(tiny_sam(), device="cpu")
    ours.set_image(image)
    theirs = SamPredictor(tiny_sam())
    theirs.set_image(image)
    for box, mask in zip(BOXES, ours.predict(boxes_xyxy=BOXES), strict=True):
        assert (mask != theirs.predict(box=box, multimask_output=False)[0][0]).mean() < 0.001  # rounding, as above
    for point, mask in zip(POINTS, ours.predict(points_xy=POINTS), strict=True):
        masks, scores, _ = theirs.predict(point_coords=point, point_labels=np.array([1]), multimask_output=True)
        assert (mask != masks[scores.argmax()]).mean() < 0.001


def test_masks_are_those_of_transformers_own_processing(image: Picture) -> None:
    ours = TransformersSam(tiny_transformers_sam(), device="cpu")
    ours.set_image(image)
    processor = SamImageProcessor(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})
    inputs = processor(images=image, return_tensors="pt")
    scale = 64 / 100
    with torch.no_grad():
        outputs = ours.model(
            pixel_values=inputs["pixel_values"],
            input_boxes=torch.from_numpy(BOXES * np.array([scale, 51 / 80] * 2, np.float32))[None],
            multimask_output=False,
        )
    theirs = processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"])[
        0
    ][:, 0]
    # Their picture is resized by torchvision, ours by Pillow: pixels differ by rounding, masks hardly.
    assert (ours.predict(boxes_xyxy=BOXES) != theirs.numpy()).mean() < 0.02


def test_many_prompts_on_a_large_picture_go_in_parts(image: Picture) -> None:
    large: Picture = np.zeros((8000, 4000, 3), np.uint8)
    prompts = MaskPrompts.checked(large, np.repeat(BOXES, 3, axis=0), None, None)
    assert [len(part) for part in prompts.in_parts(masks_at_once(large))] == [2, 2, 2, 2, 1]
    assert [len(part) for part in prompts.in_parts(masks_at_once(image))] == [9]


def test_a_pth_file_loads_whatever_the_size_of_its_network(tmp_path: Path, image: Picture) -> None:
    loaded = load_segmenter(save_tiny_sam(tmp_path / "sam_vit_tiny.pth"), "cpu")
    built = Sam(tiny_sam(), device="cpu")
    assert loaded.name == "sam_vit_tiny"
    results: list[Masks] = []
    for segmenter in (loaded, built):
        segmenter.set_image(image)
        results.append(segmenter.predict(boxes_xyxy=BOXES))
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("make", [tiny_transformers_sam, tiny_transformers_sam2])
def test_a_folder_of_transformers_loads(tmp_path: Path, image: Picture, make: Callable[[], Any]) -> None:
    make().save_pretrained(tmp_path / "mine")
    segmenter = load_segmenter(tmp_path / "mine", "cpu")
    segmenter.set_image(image)
    assert segmenter.name == "mine"
    built = CloserLook(TransformersSam(make(), device="cpu"))  # their inputs are tiny
    built.set_image(image)
    np.testing.assert_array_equal(segmenter.predict(boxes_xyxy=BOXES), built.predict(boxes_xyxy=BOXES))


def test_the_starter_is_the_default() -> None:
    assert load_segmenter(device="cpu").name == "starter"


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_pth_file_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"weights": Canary(tmp_path / "canary")}, tmp_path / "evil.pth")
    (tmp_path / "older.pth").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    for name in ("evil.pth", "older.pth"):
        with pytest.raises(CheckpointRefused, match="no plain tensors") as refusal:
            load_sam(tmp_path / name)
        assert "\n" not in str(refusal.value)
    assert not (tmp_path / "canary").exists()


def test_a_pth_file_that_is_no_sam_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="No weights at"):
        load_segmenter(tmp_path / "none.pth")
    (tmp_path / "short.pth").write_bytes(save_tiny_sam(tmp_path / "sam.pth").read_bytes()[:2000])
    with pytest.raises(CheckpointRefused, match="no plain tensors"):
        load_sam(tmp_path / "short.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointRefused, match="no table of tensors"):
        load_sam(tmp_path / "list.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointRefused, match="not the weights of a SAM"):
        load_sam(tmp_path / "other.pth")


def test_a_detectors_folder_is_no_segmenter(tiny_folder: Path) -> None:
    with pytest.raises(CheckpointRefused, match=r"holds a model of type 'mm-grounding-dino'\. Use one of sam, sam2"):
        load_segmenter(tiny_folder)


def test_a_folder_with_truncated_weights_is_refused(tmp_path: Path) -> None:
    tiny_transformers_sam().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(CheckpointRefused, match="do not load"):
        load_transformers_sam(tmp_path)
