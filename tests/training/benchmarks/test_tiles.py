"""`bench tiles` on the starter: what it tells, and that tiles find what one look can't."""

import launch
from engine.checkpoints import STARTER, load_detector
from tests.training.worlds.font import needs_font
from training.benchmarks import questions
from training.benchmarks.tiles import TilesBenchmark, measure


@needs_font
def test_tiles_find_small_things_that_one_look_does_not() -> None:
    said: list[str] = []
    document = measure(load_detector(STARTER, device="cpu"), TilesBenchmark(images=1), said.append)
    rows = ["small.whole", "small.tiles", "any_size.whole", "any_size.tiles"]
    assert list(document) == [*rows, "tile_px", "threshold", "images", "seed"]
    assert [line.split(":")[0] for line in said] == [row.replace(".", ", ") for row in rows]
    assert document["small.tiles"]["found"] > document["small.whole"]["found"] + 0.5
    assert document["any_size.tiles"]["found"] > document["any_size.whole"]["found"]
    assert document["tile_px"] == 384


@needs_font
def test_large_pictures_are_decided_by_the_seed_and_hold_things_of_their_sizes() -> None:
    (small,), (again,) = questions.small_on_large(3, 1), questions.small_on_large(3, 1)
    (other,) = questions.any_size_on_large(3, 1)
    assert (small.image == again.image).all()
    assert small.image.shape == other.image.shape == (1200, 1600, 3)
    for question, most_px in ((small, 200), (other, 1200)):
        boxes = question.labels.boxes_xyxy
        assert len(boxes) >= 15
        assert (boxes[:, 2:] - boxes[:, :2]).max() < most_px
        assert question.labels.classes.max() < len(question.names) == questions.NAMES


def test_the_command_line_has_the_benchmark() -> None:
    arguments = launch.parser().parse_args(["bench", "tiles", "--tiles", "400", "--json"])
    assert (arguments.name, arguments.tiles, arguments.images) == ("tiles", 400, None)
