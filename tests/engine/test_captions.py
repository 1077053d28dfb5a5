import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.captions import caption_of
from engine.detector import Caption
from engine.errors import PromptError


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("A man in a red shirt rides a horse.", ("man", "red shirt", "horse")),
        ("Two dogs and a black cat lying on the sofa", ("dogs", "black cat", "sofa")),
        ("A woman riding a bicycle down a city street", ("woman", "bicycle", "city street")),
        ("the running dog, next to its owner", ("running dog", "owner")),
        ("A cup on the left of the laptop", ("cup", "laptop")),
        ("a cat left of two dogs", ("cat", "dogs")),
        ("three red cars right of the tall house", ("red cars", "tall house")),
        ("The left car is blue", ("left car", "blue")),
        ("A stop sign's pole", ("stop sign's pole",)),
        ("a duckling standing in front of a tall building", ("duckling", "tall building")),
        ("Ein Hund", ("Ein Hund",)),
        ("on the left", ("on the left",)),
    ],
)
def test_a_sentence_names_these_things(text: str, phrases: tuple[str, ...]) -> None:
    assert caption_of(text).phrases == phrases


@pytest.mark.parametrize("text", ["", " ", "...", "!?", "🐈"])
def test_a_sentence_without_words_is_refused(text: str) -> None:
    with pytest.raises(PromptError, match="has no word"):
        caption_of(text)


@given(st.text())
def test_spans_are_inside_the_text_and_in_order(text: str) -> None:
    try:
        caption = caption_of(text)
    except PromptError:
        return
    flat = [position for span in caption.spans for position in span]
    assert flat == sorted(flat)
    assert all(phrase.strip() == phrase != "" for phrase in caption.phrases)


def test_a_caption_refuses_spans_outside_its_text() -> None:
    with pytest.raises(PromptError, match="Span 0:9 is not inside the 3 characters"):
        Caption("cat", ((0, 9),))
    with pytest.raises(PromptError, match="names nothing to find"):
        Caption("cat", ())
