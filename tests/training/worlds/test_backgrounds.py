"""What lies behind the things of a scene."""

import numpy as np

from tests.training.worlds.font import needs_font
from training.worlds.backgrounds import background
from training.worlds.clutter import draw_thicket
from training.worlds.rules import SceneRules
from training.worlds.textures import grain, happens, palette, texture


@needs_font
def test_backgrounds_differ_from_seed_to_seed_and_not_from_call_to_call() -> None:
    rules = SceneRules(clutter_share=1, backdrop_share=0.5)
    pictures = [background(np.random.default_rng(seed), (50, 70), rules) for seed in range(40)]
    again = [background(np.random.default_rng(seed), (50, 70), rules) for seed in range(40)]
    np.testing.assert_array_equal(pictures, again)
    assert np.array(pictures).shape == (40, 50, 70, 3)
    assert len({picture.tobytes() for picture in pictures}) == 40
    assert np.mean([picture.std() for picture in pictures]) > 20


def test_textures_of_odd_and_tiny_sizes_can_be_drawn() -> None:
    rng = np.random.default_rng(0)
    for size_hw in ((1, 1), (3, 200), (201, 7)) * 40:
        assert texture(rng, size_hw, figures=True).shape == (*size_hw, 3)


def test_grain_is_grey_on_average_and_covers_any_size() -> None:
    for size_hw in ((5, 9), (640, 640), (1300, 800)):
        window = grain(np.random.default_rng(3), *size_hw)
        assert window.shape == (*size_hw, 3)
        assert abs(window.mean() - 128) < 15


def test_a_palette_runs_from_colour_to_colour_without_jumps() -> None:
    for seed in range(20):
        colours = palette(np.random.default_rng(seed))
        assert colours.shape == (256, 1, 3)
        assert np.abs(np.diff(colours[:, 0].astype(int), axis=0)).max() <= 8


def test_a_thicket_covers_a_picture_of_any_size_with_edges() -> None:
    for seed, size_hw in enumerate([(1, 1), (3, 200), (90, 120), (240, 320)] * 5):
        plain = np.full((*size_hw, 3), 128, np.uint8)
        draw_thicket(np.random.default_rng(seed), plain)
        again = np.full((*size_hw, 3), 128, np.uint8)
        draw_thicket(np.random.default_rng(seed), again)
        np.testing.assert_array_equal(plain, again)
        if min(size_hw) > 50:
            assert (plain != 128).any(2).mean() > 0.05


def test_a_share_of_nothing_draws_nothing() -> None:
    rng, untouched = np.random.default_rng(0), np.random.default_rng(0)
    assert not happens(rng, 0)
    assert rng.random() == untouched.random()
    assert happens(rng, 1)
