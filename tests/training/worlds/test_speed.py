"""How fast scenes are rendered."""

from tests.training.worlds.font import needs_font
from training.worlds.rules import SceneRules
from training.worlds.speed import scenes_per_second


@needs_font
def test_the_speed_is_counted_in_scenes_a_second() -> None:
    assert scenes_per_second((32, 32), SceneRules(max_objects=1), count=5) > 1
