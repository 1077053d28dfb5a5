"""Where there is room for one more thing."""

import numpy as np

from training.worlds.layouts import Layout
from training.worlds.rules import SceneRules


def test_a_thing_as_large_as_the_picture_has_one_place() -> None:
    layout = Layout((40, 60), SceneRules(cut_share=0))
    assert layout.find(np.random.default_rng(0), (60, 40)) == (0, 0)
    assert layout.find(np.random.default_rng(0), (61, 40)) is None


def test_where_nothing_may_overlap_the_picture_fills_up() -> None:
    layout, rng = Layout((100, 100), SceneRules(max_objects=50, max_overlap=0, cut_share=0)), np.random.default_rng(0)
    taken = np.zeros((100, 100), int)
    found = [layout.find(rng, (30, 30)) for _ in range(50)]
    for x, y in filter(None, found):
        taken[y : y + 30, x : x + 30] += 1
    assert taken.max() == 1
    assert 3 < taken.sum() / 900 < 10


def test_later_things_together_leave_a_part_of_an_earlier_one_to_see() -> None:
    for seed in range(20):
        rules, rng = SceneRules(max_objects=30, max_overlap=0.25, cut_share=0), np.random.default_rng(seed)
        layout, seen = Layout((64, 64), rules), np.zeros((64, 64), int)
        for number in range(1, 31):
            if (corner := layout.find(rng, (16, 16))) is not None:
                seen[corner[1] : corner[1] + 16, corner[0] : corner[0] + 16] = number
        shares = [(seen == number).sum() / 256 for number in np.unique(seen[seen > 0])]
        assert min(shares) >= 1 - 1.8 * 0.25 - 1e-6


def test_an_empty_thing_has_no_place() -> None:
    assert Layout((40, 60), SceneRules()).find(np.random.default_rng(0), (0, 5)) is None
