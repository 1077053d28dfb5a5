"""One box a thing, whatever looks cut it: on boxes that are made by hand, as a detector without faults would say."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import supervision as sv
from hypothesis import given, settings
from hypothesis import strategies as st

from common.boxes import Boxes
from engine.seams import cut, merge
from engine.tiles import tiles

WIDTH, HEIGHT = 1000, 700
PICTURE = (0, 0, WIDTH, HEIGHT)

layouts = st.tuples(st.integers(150, 600), st.floats(0.05, 0.5)).map(
    lambda drawn: tiles(HEIGHT, WIDTH, drawn[0], round(drawn[0] * drawn[1]))
)
thoroughly = settings(max_examples=60)


@st.composite
def things(draw: st.DrawFn, smallest: int = 2) -> tuple[int, int, int, int]:
    x1, y1 = draw(st.integers(0, WIDTH - smallest)), draw(st.integers(0, HEIGHT - smallest))
    return x1, y1, draw(st.integers(x1 + smallest, WIDTH)), draw(st.integers(y1 + smallest, HEIGHT))


def detections(rows: Sequence[tuple[tuple[float, ...], float, int]]) -> sv.Detections:
    """Rows of box, score, class; the class's name goes along."""
    return sv.Detections(
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        confidence=np.array([score for _, score, _ in rows], np.float32),
        class_id=np.array([label for _, _, label in rows], np.int64),
        data={"class_name": np.array([f"name {label}" for _, _, label in rows], dtype=object)},
    )


def seen(looks: Boxes, all_things: Sequence[tuple[tuple[int, ...], float, int]]) -> list[sv.Detections]:
    """What each look shows of things: the part of each that lies in it."""
    found = []
    for look in looks:
        rows = []
        for (x1, y1, x2, y2), score, label in all_things:
            part = max(x1, look[0]), max(y1, look[1]), min(x2, look[2]), min(y2, look[3])
            if part[0] < part[2] and part[1] < part[3]:
                rows.append((part, score, label))
        found.append(detections(rows))
    return found


def with_whole(looks: Boxes) -> Boxes:
    return np.concatenate([np.array([PICTURE], np.float32), looks])


@thoroughly
@given(layouts, things(), st.booleans())
def test_looks_that_each_see_their_part_of_a_thing_give_the_thing(
    looks: Boxes, thing: tuple[int, ...], look_at_all: bool
) -> None:
    looks = with_whole(looks) if look_at_all else looks
    found = merge(seen(looks, [(thing, 0.5, 0)]), looks)
    np.testing.assert_array_equal(found.xyxy, [thing])
    assert list(found.data["class_name"]) == ["name 0"]


@st.composite
def rows_of_things(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Things beside and above each other without a gap: the cells of a grid."""
    columns = sorted(draw(st.sets(st.integers(0, WIDTH), min_size=2, max_size=6)))
    rows = sorted(draw(st.sets(st.integers(0, HEIGHT), min_size=2, max_size=4)))
    return [(x1, y1, x2, y2) for x1, x2 in itertools.pairwise(columns) for y1, y2 in itertools.pairwise(rows)]


@thoroughly
@given(layouts, rows_of_things(), st.booleans())
def test_things_side_by_side_are_not_fused(looks: Boxes, cells: list[tuple[int, ...]], look_at_all: bool) -> None:
    looks = with_whole(looks) if look_at_all else looks
    scores = np.linspace(0.9, 0.1, len(cells))
    found = merge(seen(looks, [(cell, score, 0) for cell, score in zip(cells, scores, strict=True)]), looks)
    np.testing.assert_array_equal(found.xyxy, cells)
    np.testing.assert_array_equal(found.confidence, scores.astype(np.float32))


@thoroughly
@given(layouts, st.integers(0, 2**32))
def test_what_comes_back_was_said_lies_in_the_picture_and_is_the_best_first(looks: Boxes, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = []
    for look in looks:
        corners = np.sort(rng.random((rng.integers(0, 4), 2, 2)), axis=1).reshape(-1, 4)
        boxes = np.tile(look[:2], 2) + corners * np.tile(look[2:] - look[:2], 2)
        found.append(detections([(tuple(box), rng.random(), int(rng.integers(3))) for box in boxes.tolist()]))
    merged = merge(found, looks)
    said = sv.Detections.merge(found)
    if not len(said):
        assert len(merged) == 0
        return
    assert merged.confidence is not None
    assert said.confidence is not None
    assert len(merged) <= len(said)
    assert (np.diff(merged.confidence) <= 0).all()
    assert (merged.xyxy >= 0).all()
    assert (merged.xyxy <= (WIDTH, HEIGHT, WIDTH, HEIGHT)).all()
    names = set(zip(said.confidence.tolist(), said.data["class_name"], strict=True))
    assert set(zip(merged.confidence.tolist(), merged.data["class_name"], strict=True)) <= names


HALVES = np.array([(0, 0, 600, 700), (400, 0, 1000, 700)], np.float32)


def test_a_thing_that_one_tile_shows_whole_is_what_that_tile_says() -> None:
    """The other tile is surer of the part that it sees."""
    found = merge([detections([((300, 100, 500, 200), 0.4, 0)]), detections([((400, 100, 500, 200), 0.9, 0)])], HALVES)
    np.testing.assert_array_equal(found.xyxy, [(300, 100, 500, 200)])
    np.testing.assert_array_equal(found.confidence, np.array([0.4], np.float32))


def test_of_two_tiles_that_show_a_thing_whole_the_surer_is_right() -> None:
    one, other = detections([((450, 100, 550, 200), 0.4, 0)]), detections([((452, 98, 548, 203), 0.9, 0)])
    found = merge([one, other], HALVES)
    np.testing.assert_array_equal(found.xyxy, [(452, 98, 548, 203)])


def test_halves_that_nobody_saw_whole_become_one_with_the_better_score() -> None:
    """They share 200 of 500 and 500 px: an IoU of 0.25 in the picture, of 1 where both tiles see."""
    found = merge([detections([((100, 100, 600, 200), 0.4, 0)]), detections([((400, 100, 900, 200), 0.9, 0)])], HALVES)
    np.testing.assert_array_equal(found.xyxy, [(100, 100, 900, 200)])
    np.testing.assert_array_equal(found.confidence, np.array([0.9], np.float32))


def test_halves_of_two_categories_stay_apart() -> None:
    found = merge([detections([((100, 100, 600, 200), 0.4, 0)]), detections([((400, 100, 900, 200), 0.9, 1)])], HALVES)
    np.testing.assert_array_equal(found.class_id, [1, 0])


def test_tiles_that_see_nothing_make_a_picture_of_nothing() -> None:
    found = merge([detections([]), detections([])], HALVES)
    assert len(found) == 0
    assert list(found.data["class_name"]) == []


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 300, 700), False),  # ends at the picture's own edges
        ((300, 100, 600, 200), True),
        ((300, 100, 592, 200), True),  # 8 px before the seam, of 700
        ((300, 100, 580, 200), False),
    ],
)
def test_only_an_edge_inside_the_picture_cuts(box: tuple[float, ...], expected: bool) -> None:
    assert cut(np.array([box], np.float32), HALVES[:1], HALVES).tolist() == [expected]
