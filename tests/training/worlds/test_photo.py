"""What a camera does to a picture."""

from dataclasses import replace

import numpy as np
import pytest

from training.worlds.photo import developed, photographed
from training.worlds.rules import SceneRules

NOTHING = SceneRules(light_share=0, blur_share=0, noise_share=0, jpeg_share=0)


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (40, 56, 3), dtype=np.uint8)


def test_a_perfect_camera_changes_nothing() -> None:
    np.testing.assert_array_equal(photographed(np.random.default_rng(0), picture(), NOTHING), picture())


FLAWED = (
    replace(NOTHING, light_share=1),
    replace(NOTHING, blur_share=1),
    replace(NOTHING, noise_share=1),
    replace(NOTHING, jpeg_share=1),
)


@pytest.mark.parametrize("rules", FLAWED)
def test_each_flaw_changes_the_picture_and_leaves_it_recognisable(rules: SceneRules) -> None:
    smooth = np.repeat(np.repeat(picture()[::8, ::8], 8, 0), 8, 1)
    for seed in range(12):
        flawed = photographed(np.random.default_rng(seed), smooth, rules)
        assert flawed.shape == smooth.shape
        assert flawed.dtype == np.uint8
        assert (flawed != smooth).any()
        assert np.corrcoef(flawed.ravel(), smooth.ravel())[0, 1] > 0.6


def test_a_developed_picture_is_paler_and_harder_and_has_the_same_forms() -> None:
    soft = np.repeat(np.repeat(picture()[::8, ::8], 8, 0), 8, 1) // 2 + 60
    for seed in range(12):
        done = developed(np.random.default_rng(seed), soft)
        assert done.dtype == np.uint8
        assert done.shape == soft.shape
        assert np.ptp(done, axis=2).mean() < np.ptp(soft, axis=2).mean()
        assert done.mean(2).std() > soft.mean(2).std()
        assert np.corrcoef(done.mean(2).ravel(), soft.mean(2).ravel())[0, 1] > 0.8
    plain = np.full((9, 9, 3), 200, np.uint8)
    assert np.ptp(developed(np.random.default_rng(0), plain)) == 0
