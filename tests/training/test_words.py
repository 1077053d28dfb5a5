import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.words import mirrored_text, says_a_side, says_where

SWAPPED = {
    "the cat left of the dog": "the cat right of the dog",
    "the cat to the left of the dog": "the cat to the right of the dog",
    "left guy": "right guy",
    "guy on the right": "guy on the left",
    "Leftmost dog": "Rightmost dog",
    "LEFT HAND": "RIGHT HAND",
    "upper-left corner": "upper-right corner",
    "topleft bus": "topright bus",
    "a left-handed man": "a right-handed man",
    "the second car from left": "the second car from right",
    "his right shoe": "his left shoe",
    "her left, his right": "her right, his left",
    "the wheel turning clockwise": "the wheel turning counterclockwise",
    "the cat is left of the dog": "the cat is right of the dog",
    "a red apple and two cats": "a red apple and two cats",
    "a bright light on the upright piano": "a bright light on the upright piano",
    "leftovers": "leftovers",
    "right_arm": "left_arm",
    "": "",
}
DOUBTFUL = (
    "right now", "a dog right behind the cat", "right next to the tree", "the man who left", "the food that is left",
    "a bag left on the floor", "left-over pizza", "a cup right side up", "the man left the room", "all right",
    "the LefT one", "a turn anticlockwise", "a turn counter-clockwise", "number 7", "the sign that says stop",
    "east of the tower", "at 3 o'clock", "lft guy", "the left one, left behind", "the right of way",
    "the driver's door", "guy on right in blue",
)  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SWAPPED.items())
def test_directions_change_places_and_keep_their_case(text: str, expected: str) -> None:
    assert mirrored_text(text) == (expected, ())


@pytest.mark.parametrize("text", DOUBTFUL)
def test_what_may_not_be_a_direction_is_not_mirrored(text: str) -> None:
    assert mirrored_text(text) is None


def test_spans_move_with_their_words() -> None:
    text = "the left cat and the dog"
    found = mirrored_text(text, ((0, 12), (17, 24)))
    assert found is not None
    mirrored, spans = found
    assert [mirrored[start:end] for start, end in spans] == ["the right cat", "the dog"]


def test_a_span_that_cuts_a_direction_in_two_cannot_be_moved() -> None:
    assert mirrored_text("left cat", ((2, 8),)) is None


WORDS = st.sampled_from(
    ["left", "Right", "RIGHT", "leftmost", "top", "-", "hand", "clockwise", "counter", "counterclockwise", "cat", "of",
     "the", "to", "in", "is", "side", "up", "anti", "bright", "topleft", ",", "'s", "way", "on", "left-most", "ö", "İ"]
)  # fmt: skip


@settings(max_examples=100)
@given(st.lists(WORDS, max_size=8), st.lists(st.sampled_from([" ", "", "  "]), min_size=8, max_size=8), st.data())
def test_mirroring_twice_gives_text_and_spans_back(words: list[str], gaps: list[str], data: st.DataObject) -> None:
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=False))
    edges = st.integers(0, len(text))
    spans = tuple(tuple(sorted(data.draw(st.tuples(edges, edges)))) for _ in range(2))
    found = mirrored_text(text, spans)  # type: ignore[arg-type]
    if found is not None:
        assert mirrored_text(*found) == (text, spans)


@pytest.mark.parametrize("text", ["two cats", "the largest dog", "a cup behind a vase", "the left dog", "no dog"])
def test_what_places_compares_or_counts_is_not_cut(text: str) -> None:
    assert says_where(text)


@pytest.mark.parametrize("text", ["a red apple and a cat", "a man riding a horse", "a field"])
def test_what_only_names_things_may_be_cut(text: str) -> None:
    assert not says_where(text)


@pytest.mark.parametrize("name", ["left shoe", "turn right sign", "clockwise arrow"])
def test_a_category_with_a_side_is_known(name: str) -> None:
    assert says_a_side(name)


@pytest.mark.parametrize("name", ["clock", "copyright mark", "license plate", "cell phone"])
def test_a_category_that_a_mirror_leaves_alone_is_known(name: str) -> None:
    assert not says_a_side(name)
