"""What a thing's surface looks like."""

import numpy as np
import pytest

from training.worlds.concepts import SHAPE_COLOURS, SHAPES, TEXTURES, THINGS
from training.worlds.shapes import shape_masks
from training.worlds.sprites import sprite
from training.worlds.surfaces import grained, lit, patterned

PLACES = {thing.name: place for place, thing in enumerate(THINGS)}


def changed_share(name: str, texture: str, seed: int) -> float:
    picture = sprite(PLACES[name], 128)
    done = patterned(np.random.default_rng(seed), picture, shape_masks(THINGS[PLACES[name]].noun)[1], texture)
    np.testing.assert_array_equal(done[..., 3], picture[..., 3])
    differs = np.abs(done[..., :3].astype(int) - picture[..., :3]).sum(2) > 60
    return float(differs.sum() / (picture[..., 3] > 127).sum())


@pytest.mark.parametrize("texture", TEXTURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_texture_leaves_most_of_a_shape_in_its_colour(texture: str, shape: str) -> None:
    shares = [changed_share(f"red {shape}", texture, seed) for seed in range(12)]
    assert max(shares) < 0.45
    assert 0.1 < np.mean(shares) < 0.4


@pytest.mark.parametrize("texture", TEXTURES)
@pytest.mark.parametrize("colour", SHAPE_COLOURS)
def test_a_texture_can_be_seen_on_every_colour(texture: str, colour: str) -> None:
    assert min(changed_share(f"{colour} circle", texture, seed) for seed in range(6)) > 0.1


def test_another_light_keeps_outline_and_premultiplied_colours() -> None:
    picture = sprite(PLACES["orange star"], 60)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for changed in (lit(rng, picture, recolour=True), grained(rng, picture)):
            np.testing.assert_array_equal(changed[..., 3], picture[..., 3])
            assert (changed[..., :3] <= changed[..., 3:]).all()


def test_a_shape_stays_nearest_to_its_own_colour_in_another_light() -> None:
    palette = np.array(list(SHAPE_COLOURS.values()), float)
    for place, colour in enumerate(SHAPE_COLOURS):
        picture = sprite(PLACES[f"{colour} square"], 60)
        middle = [lit(np.random.default_rng(seed), picture, recolour=False)[30, 30, :3] for seed in range(40)]
        nearest = np.linalg.norm(np.array(middle, float)[:, None] - palette, axis=2).argmin(1)
        assert (nearest == place).mean() > 0.9, colour
