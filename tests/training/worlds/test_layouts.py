"""Where there is room for one more thing."""

import numpy as np

from training.worlds.layouts import Layout
from training.worlds.rules import SceneRules


def test_a_thing_as_large_as_the_picture_has_one_place() -> None:
    layout = Layout((40, 60), SceneRules(cut_share=0))
    assert layout.find(np.random.default_rng(0), (60, 40)) == (0, 0)


def test_a_thing_larger_than_the_picture_reaches_over_its_edges() -> None:
    for seed in range(20):
        layout = Layout((40, 60), SceneRules(cut_share=0))
        corner = layout.find(np.random.default_rng(seed), (100, 20))
        assert corner is not None
        assert -30 <= corner[0] <= -10  # at most 0.3 of it on either side
        assert -6 <= corner[1] <= 26
    assert Layout((40, 60), SceneRules()).find(np.random.default_rng(0), (151, 20)) is None


def test_where_nothing_may_overlap_the_picture_fills_up() -> None:
    layout, rng = Layout((100, 100), SceneRules(max_objects=50, max_overlap=0, cut_share=0)), np.random.default_rng(0)
    taken = np.zeros((100, 100), int)
    found = [layout.find(rng, (30, 30)) for _ in range(50)]
    for x, y in filter(None, found):
        taken[y : y + 30, x : x + 30] += 1
    assert taken.max() == 1
    assert 3 < taken.sum() / 900 < 10


def test_an_empty_thing_has_no_place() -> None:
    assert Layout((40, 60), SceneRules()).find(np.random.default_rng(0), (0, 5)) is None
