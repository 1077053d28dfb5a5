import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.detector import Detector
from engine.doubles import without_doubles
from engine.errors import EngineError
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from engine.preprocessing import Picture
from engine.tiles import TiledDetector, tiles

ONTOLOGY = Ontology.from_prompt("cat. red car. dog.")


def picture(height: int, width: int, seed: int = 0) -> Picture:
    """Blocks of colour: noise would look the same everywhere."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    rows, columns = np.arange(height) * 9 // height, np.arange(width) * 9 // width
    return np.ascontiguousarray(small[rows][:, columns])


@settings(max_examples=50)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(40, 300), st.floats(0, 0.6))
def test_tiles_cover_the_picture_and_share_what_was_asked_for(
    height: int, width: int, tile_px: int, overlap: float
) -> None:
    overlap_px = round(overlap * tile_px)
    seen = np.zeros((height, width), np.int64)
    found = tiles(height, width, tile_px, overlap_px).astype(int)
    for x1, y1, x2, y2 in found.tolist():
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert max(x2 - x1, y2 - y1) <= tile_px
        seen[y1:y2, x1:x2] += 1
    assert seen.min() >= 1
    for low, high, side in ((0, 2, width), (1, 3, height)):
        spans = np.unique(found[:, [low, high]], axis=0)
        assert (spans[:-1, 1] - spans[1:, 0] >= overlap_px).all(), side


def test_a_tiled_detector_is_a_detector(tiny_detector: GroundingDetector) -> None:
    door: Detector = TiledDetector(tiny_detector, 100)
    assert (door.name, door.device) == ("tiny", "cpu")


def test_what_it_finds_lies_in_the_picture_best_first_and_names_its_category(tiny_detector: GroundingDetector) -> None:
    images = [picture(260, 410), picture(90, 300, 1), picture(300, 90, 2)]
    for image, found in zip(
        images, TiledDetector(tiny_detector, 128).detect(images, ONTOLOGY, threshold=0), strict=True
    ):
        height, width = image.shape[:2]
        assert found.confidence is not None
        assert found.class_id is not None
        assert len(found) > 0
        assert found.xyxy.dtype == np.float32
        assert (np.diff(found.confidence) <= 0).all()
        assert (found.xyxy >= 0).all()
        assert (found.xyxy <= (width, height, width, height)).all()
        assert [ONTOLOGY.names[label] for label in found.class_id] == list(found.data["class_name"])
        assert set(found.data["phrase"]) <= set(ONTOLOGY.names)


def test_a_picture_no_larger_than_a_tile_is_looked_at_once(tiny_detector: GroundingDetector) -> None:
    image = picture(96, 128)
    looks: list[tuple[int, int]] = []
    tiled = TiledDetector(tiny_detector, 128, progress=lambda done, total: looks.append((done, total)))
    (found,) = tiled.detect([image], ONTOLOGY, threshold=0)
    (alone,) = tiny_detector.detect([image], ONTOLOGY, threshold=0)
    expected = without_doubles(alone)
    np.testing.assert_array_equal(found.xyxy, expected.xyxy)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    assert looks == [(1, 1)]


def test_progress_tells_how_many_looks_are_done_and_how_many_a_picture_takes(tiny_detector: GroundingDetector) -> None:
    looks: list[tuple[int, int]] = []
    tiled = TiledDetector(tiny_detector, 64, 0, progress=lambda done, total: looks.append((done, total)))
    tiled.detect([picture(640, 640)], ONTOLOGY)
    assert looks == [(done, 101) for done in range(1, 102)]  # 10 x 10 tiles and the whole


def test_the_usual_tile_is_as_long_as_the_detector_reads(tiny_detector: GroundingDetector) -> None:
    assert TiledDetector(tiny_detector).tile_px == 160


def test_every_tile_is_asked_for_the_whole_caption(tiny_detector: GroundingDetector) -> None:
    images = [picture(200, 300), picture(150, 150, 1)]
    found = TiledDetector(tiny_detector, 120).ground(images, ["a red car and a dog", "the cat"], threshold=0)
    assert [set(each.data["phrase"]) for each in found] == [{"red car", "dog"}, {"cat"}]


def test_the_one_thing_that_is_meant_is_looked_for_on_the_whole_picture(tiny_detector: GroundingDetector) -> None:
    image = picture(200, 300)
    (found,) = TiledDetector(tiny_detector, 120).refer([image], ["the red car"], threshold=0)
    (expected,) = tiny_detector.refer([image], ["the red car"], threshold=0)
    np.testing.assert_array_equal(found.xyxy, expected.xyxy)


@pytest.mark.parametrize(("tile_px", "overlap"), [(63, 0.25), (100, 1.0), (100, -0.1)])
def test_tiles_that_cannot_be_cut_are_refused(tiny_detector: GroundingDetector, tile_px: int, overlap: float) -> None:
    with pytest.raises(EngineError, match=rf"tiles of {tile_px} px"):
        TiledDetector(tiny_detector, tile_px, overlap)
