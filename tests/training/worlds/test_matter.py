"""Things as matter is: their outline and colours stay theirs."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from training.worlds.concepts import THINGS
from training.worlds.matter import bent, clad, softened
from training.worlds.poses import posed, solid_box
from training.worlds.rules import SceneRules
from training.worlds.sprites import Picture, sprite

PLACES = {thing.name: place for place, thing in enumerate(THINGS)}
SIZES = (9, 24, 60, 300)


def drawn(side: int) -> Picture:
    return sprite(PLACES["raccoon"], side)


def mean_rgb(picture: Picture) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = picture[..., :3].sum((0, 1)) / picture[..., 3].sum()
    return mean


def roughness(picture: Picture) -> float:
    """Mean step of grey from one pixel to the next, within the thing."""
    grey, inside = picture[..., :3].mean(2), picture[..., 3] > 250
    both = inside[:, 1:] & inside[:, :-1]
    return float(np.abs(np.diff(grey, axis=1))[both].mean())


@pytest.mark.parametrize("change", [clad, bent, softened])
@pytest.mark.parametrize("side", SIZES)
def test_colours_stay_multiplied_by_alpha_and_seeds_decide(
    change: Callable[[np.random.Generator, Picture], Picture], side: int
) -> None:
    for seed in range(8):
        picture = drawn(side)
        before = picture.copy()
        changed = change(np.random.default_rng(seed), picture)
        assert changed.dtype == np.uint8
        assert (changed[..., :3] <= changed[..., 3:]).all()
        np.testing.assert_array_equal(picture, before)
        np.testing.assert_array_equal(changed, change(np.random.default_rng(seed), picture))


@pytest.mark.parametrize("side", SIZES)
def test_a_material_keeps_outline_and_mean_colour_and_roughens_the_rest(side: int) -> None:
    picture = drawn(side)
    clads = [clad(np.random.default_rng(seed), picture) for seed in range(20)]
    for changed in clads:
        np.testing.assert_array_equal(changed[..., 3], picture[..., 3])
    assert np.mean([mean_rgb(changed) for changed in clads], axis=0) == pytest.approx(mean_rgb(picture), abs=0.03)
    assert np.mean([roughness(changed) for changed in clads]) > 1.05 * roughness(picture)


def test_what_bends_is_whole_and_nearly_as_large() -> None:
    picture = drawn(120)
    whole = int((picture[..., 3] > 127).sum())
    for seed in range(20):
        alpha = bent(np.random.default_rng(seed), picture)[..., 3]
        assert (alpha > 127).sum() == pytest.approx(whole, rel=0.35)
        assert max(side.max() for side in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])) < 128
        assert (bent(np.random.default_rng(seed), picture)[..., 3].shape) != picture.shape[:2]


def test_a_soft_edge_is_within_the_hard_one() -> None:
    picture = drawn(120)
    edges = ((picture[..., 3] > 8) & (picture[..., 3] < 247)).sum()
    for seed in range(20):
        soft = softened(np.random.default_rng(seed), picture)
        assert (soft[..., 3] <= picture[..., 3]).all()
        assert ((soft[..., 3] > 8) & (soft[..., 3] < 247)).sum() > edges
        wide, narrow = (np.subtract(box[2:], box[:2]) for box in (solid_box(picture[..., 3]), solid_box(soft[..., 3])))
        assert (wide - narrow <= 8).all()


def test_the_box_of_a_thing_is_that_of_what_is_seen() -> None:
    rules = SceneRules(smallest=0.4, largest=0.4, clad_share=1, bent_share=1, soft_share=1)
    for seed in range(20):
        thing = posed(np.random.default_rng(seed), PLACES["cat"], 240, rules)
        assert thing.solid_xyxy == solid_box(np.ascontiguousarray(thing.picture[..., 3]))


def test_shapes_keep_their_straight_lines_and_plain_colours() -> None:
    plain = SceneRules(smallest=0.4, largest=0.4, turned_share=0, light_share=0, surface_share=0, stretch=(1, 1))
    matter = SceneRules(**vars(plain) | {"clad_share": 1, "bent_share": 1})
    one, other = (posed(np.random.default_rng(1), PLACES["blue square"], 240, rules) for rules in (plain, matter))
    np.testing.assert_array_equal(one.picture, other.picture)
