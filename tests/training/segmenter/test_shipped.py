"""The weights that come with the repository."""

import pytest

from engine.segmenters.base import Segmenter
from engine.segmenters.loading import STARTER_FOLDER, load_segmenter
from tests.training.worlds.font import needs_font
from training.segmenter.measure import mask_iou

MAX_BYTES = 8_000_000
FRESH_SEED = 4321


@pytest.fixture(scope="module")
def starter() -> Segmenter:
    return load_segmenter("starter", device="cpu")


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in STARTER_FOLDER.iterdir()) <= MAX_BYTES


@needs_font
def test_it_finds_the_things_of_fresh_scenes(starter: Segmenter) -> None:
    assert mask_iou(starter, FRESH_SEED, 12) >= 0.65
