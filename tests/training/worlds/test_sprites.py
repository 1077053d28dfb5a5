"""The pictures of the things."""

import colorsys

import numpy as np
import pytest

from tests.training.worlds.font import needs_font
from training.worlds.concepts import CONCEPTS, SHAPE_COLOURS, THINGS, TINT_COLOURS
from training.worlds.sprites import sprite

PLACES = {thing.name: place for place, thing in enumerate(THINGS)}


def mean_rgb(picture: np.ndarray) -> list[float]:
    red, green, blue = (picture[..., :3].sum((0, 1)) / picture[..., 3].sum()).tolist()
    return [red, green, blue]


@needs_font
def test_every_concept_has_a_picture_of_its_own() -> None:
    pictures = {sprite(place, 30).tobytes() for place in range(len(CONCEPTS))}
    assert len(pictures) == len(CONCEPTS)
    assert all(sprite(place, 30)[..., 3].max() > 200 for place in range(len(CONCEPTS)))


@needs_font
def test_colours_are_multiplied_by_alpha() -> None:
    for place in range(0, len(THINGS), 97):
        picture = sprite(place, 40)
        assert (picture[..., :3] <= picture[..., 3:].astype(int) + 1).all()


@needs_font
def test_the_edge_of_an_emoji_is_no_darker_than_its_inside() -> None:
    inside, edge = [], []
    for place in range(0, len(CONCEPTS), 7):
        picture = sprite(place, 200).astype(float)
        alpha = picture[..., 3]
        brightness = picture[..., :3].max(-1) / np.maximum(alpha, 1)
        inside.append(brightness[alpha == 255].mean())
        edge.append(brightness[(alpha > 60) & (alpha < 200)].mean())
    assert np.mean(edge) > 0.8 * np.mean(inside)


@needs_font
def test_a_sprite_is_as_large_as_asked_for_where_the_font_allows() -> None:
    for name in ("dog", "red circle", "blue rectangle"):
        for pixels in (9, 20, 40, 80):
            assert max(sprite(PLACES[name], pixels).shape[:2]) >= 0.9 * pixels
        assert max(sprite(PLACES[name], 9).shape[:2]) < 40


@needs_font
@pytest.mark.parametrize("colour", TINT_COLOURS)
def test_a_tinted_emoji_has_the_hue_it_is_named_after(colour: str) -> None:
    wanted = colorsys.rgb_to_hsv(*(level / 255 for level in SHAPE_COLOURS[colour]))
    tinted = [place for place, thing in enumerate(THINGS) if thing.tinted and thing.colour == colour]
    for place in tinted[::25]:
        hue, saturation, _ = colorsys.rgb_to_hsv(*mean_rgb(sprite(place, 60)))
        assert abs((hue - wanted[0] + 0.5) % 1 - 0.5) < 0.03
        assert saturation > 0.5 * wanted[1]


@needs_font
def test_a_tinted_emoji_keeps_its_outline_and_its_inner_structure() -> None:
    tinted = next(place for place, thing in enumerate(THINGS) if thing.tinted and thing.noun == "owl")
    natural = PLACES["owl"]
    np.testing.assert_array_equal(sprite(tinted, 60)[..., 3], sprite(natural, 60)[..., 3])
    solid = sprite(natural, 60)[..., 3] > 200
    lightness = [sprite(place, 60)[..., :3].sum(2)[solid] for place in (natural, tinted)]
    assert np.corrcoef(lightness)[0, 1] > 0.8
