import numpy as np
import pytest

from common.masks import decode_mask
from engine.errors import EngineError
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from engine.pipeline import GroundedSegmenter, rles
from engine.preprocessing import Picture
from engine.segmenters.grabcut import GrabCut
from engine.segmenters.sam import Sam
from tests.tiny_sam import tiny_sam

ONTOLOGY = Ontology.from_prompt("cat. red car.")
PICTURES: list[Picture] = [
    np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for seed, (height, width) in enumerate([(90, 120), (120, 90)])
]


def test_each_find_is_outlined_inside_its_box(tiny_detector: GroundingDetector) -> None:
    results = GroundedSegmenter(tiny_detector, GrabCut()).detect(PICTURES, ONTOLOGY, threshold=0, top_k=5)
    for image, found in zip(PICTURES, results, strict=True):
        assert found.mask is not None
        assert found.mask.shape == (5, *image.shape[:2])
        for mask, (x1, y1, x2, y2) in zip(found.mask, found.xyxy, strict=True):
            rows, columns = np.nonzero(mask)
            assert len(rows) > 0
            assert columns.min() >= int(x1) - 1
            assert rows.min() >= int(y1) - 1
            assert columns.max() <= np.ceil(x2)
            assert rows.max() <= np.ceil(y2)


def test_run_lengths_hold_the_same_masks(tiny_detector: GroundingDetector) -> None:
    found = GroundedSegmenter(tiny_detector, GrabCut()).detect(PICTURES[:1], ONTOLOGY, threshold=0, top_k=3)[0]
    assert found.mask is not None
    for rle, mask in zip(rles(found), found.mask, strict=True):
        np.testing.assert_array_equal(decode_mask(rle), mask)


def test_no_finds_have_no_masks_but_the_right_shape(tiny_detector: GroundingDetector) -> None:
    found = GroundedSegmenter(tiny_detector, GrabCut()).detect(PICTURES[:1], ONTOLOGY, threshold=1)[0]
    assert found.mask is not None
    assert found.mask.shape == (0, 90, 120)
    assert rles(found) == rles(tiny_detector.detect(PICTURES[:1], ONTOLOGY, threshold=1)[0]) == []


def test_clicks_on_one_picture_run_the_image_encoder_once(tiny_detector: GroundingDetector) -> None:
    segmenter = Sam(tiny_sam(), device="cpu")
    runs: list[int] = []
    segmenter.network.image_encoder.register_forward_hook(lambda *_: runs.append(1))
    both = GroundedSegmenter(tiny_detector, segmenter)
    spot = np.array([[[20, 20]]], np.float32)
    for image in (PICTURES[0], PICTURES[0], PICTURES[1], PICTURES[1]):
        assert len(list(both.outline(image, points_xy=spot, point_labels=np.array([[1]])))) == 1
    assert len(runs) == 2


def test_many_boxes_give_the_same_outlines_as_at_once(tiny_detector: GroundingDetector) -> None:
    boxes = np.array([[x, 5, x + 30, 60] for x in range(0, 80, 4)], np.float32)
    both = GroundedSegmenter(tiny_detector, GrabCut())
    outlines = list(both.outline(PICTURES[0], boxes_xyxy=boxes))
    segmenter = GrabCut()
    segmenter.set_image(PICTURES[0])
    assert len(outlines) == 20
    for rle, mask in zip(outlines, segmenter.predict(boxes_xyxy=boxes), strict=True):
        np.testing.assert_array_equal(decode_mask(rle), mask)


def test_an_outline_of_nothing_is_refused(tiny_detector: GroundingDetector) -> None:
    with pytest.raises(EngineError, match="needs a box or a point"):
        list(GroundedSegmenter(tiny_detector, GrabCut()).outline(PICTURES[0]))
