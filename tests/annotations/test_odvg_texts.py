"""Whatever a line holds, it is a caption that is right or one line that says why not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotations.captions import CaptionText
from annotations.importers.odvg_texts import grounding_caption
from annotations.importers.placing import PlacedCaption, place_caption
from common.images import ImageInfo

IMAGE = ImageInfo(100, 80, "0" * 64, "PNG")

NUMBERS = st.one_of(st.integers(-5, 120), st.floats(), st.integers(), st.booleans(), st.text(max_size=3))
BOXES = st.lists(NUMBERS, max_size=5)
SPANS = st.lists(st.lists(st.integers(-1, 14), min_size=1, max_size=3), max_size=3)
REGIONS = st.fixed_dictionaries(
    {"bbox": st.one_of(BOXES, st.lists(BOXES, max_size=2), st.none())},
    optional={
        "tokens_positive": st.one_of(SPANS, NUMBERS),
        "phrase": st.one_of(st.text("a cat", max_size=4), st.lists(st.text("cat ", max_size=3)), st.integers()),
    },
)
GROUNDINGS = st.fixed_dictionaries(
    {
        "caption": st.one_of(st.text("a cat.\n\t\0", max_size=12), st.text(max_size=8), st.integers()),
        "regions": st.one_of(st.lists(st.one_of(REGIONS, st.none()), max_size=3), st.none()),
    },
    optional={"expression": st.one_of(st.booleans(), st.integers())},
)


@settings(max_examples=400)
@given(GROUNDINGS)
def test_a_text_is_right_or_refused_in_one_line(grounding: Any) -> None:
    try:
        parsed = grounding_caption("line 1", grounding)
    except ValueError as error:
        assert len(str(error)) < 300
        return
    placed = place_caption(parsed, IMAGE)
    if isinstance(placed, str):
        assert "\n" not in placed and len(placed) < 300
        return
    check(placed.text)


def check(text: CaptionText) -> None:
    for phrase in text.phrases:
        assert all(0 <= start < end <= len(text.text) for start, end in phrase.spans)
        assert (phrase.boxes_xyxy >= 0).all() and (phrase.boxes_xyxy <= [100, 80, 100, 80]).all()
    assert text.kind == "expression" or text.phrases


def test_a_good_text_goes_through() -> None:
    grounding = {"caption": "a cat", "regions": [{"bbox": [1, 2, 9, 9], "tokens_positive": [[0, 5]]}]}
    placed = place_caption(grounding_caption("line 1", grounding), IMAGE)
    assert isinstance(placed, PlacedCaption)
    check(placed.text)
    np.testing.assert_array_equal(placed.text.phrases[0].boxes_xyxy, [[1, 2, 9, 9]])


@pytest.mark.parametrize("grounding", [None, [], "a cat", {}, {"caption": "a cat"}, {"regions": []}])
def test_what_is_no_grounding_is_refused(grounding: Any) -> None:
    with pytest.raises(ValueError, match=r"^(it has no caption that is text|its regions are not a list)$"):
        grounding_caption("line 1", grounding)
