"""The same scene gives the same boxes however its file is turned."""

import io
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from PIL import Image

from common.boxes import iou
from common.images import read_image
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from engine.preprocessing import Picture, Preprocessing
from tests.tiny_checkpoint import tiny_model, tiny_tokenizer

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "exif_orientation"
ONTOLOGY = Ontology.from_prompt("cat. red car.")

# How a camera stores an upright picture under each orientation: EXIF's transposition, undone.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned(upright: Picture, orientation: int, kind: str) -> bytes:
    image = Image.fromarray(upright)
    transposition = STORED[orientation]
    if transposition is not None:
        image = image.transpose(transposition)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, kind, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_lossless_picture_gives_exactly_the_same_boxes_in_all_eight_orientations(
    tiny_detector: GroundingDetector, kind: str
) -> None:
    upright = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    expected = tiny_detector.detect([upright], ONTOLOGY, threshold=0)[0]
    for orientation in STORED:
        image = read_image(turned(upright, orientation, kind))
        np.testing.assert_array_equal(image, upright)
        found = tiny_detector.detect([image], ONTOLOGY, threshold=0)[0]
        np.testing.assert_array_equal(found.xyxy, expected.xyxy)
        np.testing.assert_array_equal(found.confidence, expected.confidence)


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the EXIF pictures are not at {FOLDER}")
def test_all_nine_photos_of_one_scene_give_the_same_boxes() -> None:
    """Each file is a JPEG of its own with its own number painted in: after resizing, pixels differ by half a level.

    So near-equal scores may change places, and one of the ten best boxes in ten may be another (measured: none
    is). A scene that is mirrored, which one wrong orientation amounts to, keeps hardly any of them.
    """
    photos = [read_image(path) for path in sorted(FOLDER.glob("Landscape_*.jpg"))]
    assert [photo.shape for photo in photos] == [(1200, 1800, 3)] * 9
    detector = GroundingDetector(tiny_model(stirred=False), tiny_tokenizer(), Preprocessing(96, 160))
    mirrored = np.ascontiguousarray(photos[0][:, ::-1])
    first, *others, wrong = detector.detect([*photos, mirrored], Ontology.from_prompt("cat"), threshold=0)
    assert min(overlap_of_the_best(first, other) for other in others) > 0.9
    assert overlap_of_the_best(first, wrong) < 0.3


def overlap_of_the_best(one: sv.Detections, other: sv.Detections) -> float:
    """Mean over the ten best boxes of one of the IoU with the nearest box of the other."""
    best, all_of_other = one.xyxy[:10].astype(np.float32), other.xyxy.astype(np.float32)
    return float(iou(best, all_of_other).max(axis=1).mean())
