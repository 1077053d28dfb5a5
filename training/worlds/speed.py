"""How many scenes a second one core renders: `python -m training.worlds.speed`."""

import sys
from dataclasses import replace
from time import process_time

import numpy as np

from training.worlds.concepts import CONCEPTS
from training.worlds.rules import CROWDED_RULES, PHOTO_RULES, SceneRules
from training.worlds.scenes import render_scene

_SCENES = 400
_WARM_UP = 100  # not counted: they draw the emojis that the others reuse
_CASES = (
    ("256x256, 6 things", (256, 256), SceneRules(min_objects=6, max_objects=6)),
    ("240x320, 6 things", (240, 320), SceneRules(min_objects=6, max_objects=6)),
    ("240x320, 10 to 24 things", (240, 320), CROWDED_RULES),
    ("256x256, 6 things, as in training", (256, 256), replace(PHOTO_RULES, min_objects=6, max_objects=6)),
)


def scenes_per_second(size_hw: tuple[int, int], rules: SceneRules, count: int = _SCENES) -> float:
    """Scenes of all concepts that one thread renders in a second of its own time, whatever else the machine does.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    rng = np.random.default_rng(0)
    concepts = range(len(CONCEPTS))
    for _ in range(_WARM_UP):
        render_scene(rng, size_hw, concepts, rules)
    start = process_time()
    for _ in range(count):
        render_scene(rng, size_hw, concepts, rules)
    return count / (process_time() - start)


def main() -> int:
    """Print one line for each size."""
    for name, size_hw, rules in _CASES:
        rate = scenes_per_second(size_hw, rules)
        print(f"{name}: {rate:.0f} scenes a second ({1000 / rate:.2f} ms each)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
