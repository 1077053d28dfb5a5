"""Things as they stand in scenes."""

import cv2
import numpy as np
import pytest

from training.worlds.concepts import THINGS
from training.worlds.poses import posed, solid_box
from training.worlds.rules import SceneRules

PLACES = {thing.name: place for place, thing in enumerate(THINGS)}
STILL = SceneRules(smallest=0.4, largest=0.4, stretch=(1.0, 1.0), turned_share=0, light_share=0, surface_share=0)


def test_a_thing_is_as_large_as_the_rules_say() -> None:
    rng = np.random.default_rng(0)
    assert posed(rng, PLACES["blue square"], 200, STILL).size == pytest.approx((80, 80), abs=1)
    width, height = posed(rng, PLACES["blue oval"], 200, STILL).size
    assert width * height == pytest.approx(80 * 80, rel=0.05)


def test_no_circle_becomes_an_oval() -> None:
    rules = SceneRules(stretch=(0.5, 2.0), smallest=0.4, turned_share=1)
    for seed in range(30):
        width, height = posed(np.random.default_rng(seed), PLACES["red circle"], 200, rules).size
        assert 1 / 1.15 < width / height < 1.15


def test_ovals_lie_and_stand() -> None:
    wide = [np.divide(*posed(np.random.default_rng(seed), PLACES["red oval"], 200, STILL).size) for seed in range(20)]
    assert min(wide) < 0.65
    assert max(wide) > 1.5


def test_nothing_of_a_turned_thing_is_cut_off() -> None:
    rules = SceneRules(turned_share=1, smallest=0.05)
    for seed in range(60):
        name = ("red star", "blue rectangle", "green arrow", "black square")[seed % 4]
        thing = posed(np.random.default_rng(seed), PLACES[name], 256, rules)
        alpha = cv2.extractChannel(thing.picture, 3)
        edge = [alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]]
        assert max(side.max() for side in edge) < 32  # of 255: OpenCV rounds places to 1/32 pixel


def test_a_solid_box_holds_what_hides_more_than_half() -> None:
    alpha = np.zeros((6, 9), np.uint8)
    alpha[1:4, 2:8] = 127
    assert solid_box(alpha) == (0, 0, 0, 0)
    alpha[2, 3], alpha[3, 6] = 128, 255
    assert solid_box(alpha) == (3, 2, 7, 4)
