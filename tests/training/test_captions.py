from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotations.captions import CaptionedImage, CaptionText, Phrase, Span, expression
from engine.ontology import Category, Ontology
from engine.preprocessing import Preprocessing
from engine.prompts import pack
from tests.tiny_checkpoint import tiny_tokenizer
from tests.training.coloured_squares import ONTOLOGY, QUICK, squares
from training.captions import CaptionSampler
from training.data import BatchMaker
from training.samples import SampledPrompt
from training.sources import Source, shares
from training.vocabulary import PromptSampler

TOKENIZER = tiny_tokenizer()
SAMPLER = CaptionSampler(TOKENIZER)
CAR, CAT, DOG = [0, 0, 40, 40], [50, 10, 70, 30], [60, 40, 90, 80]


def boxes(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def phrase(text: str, words: str | list[str], *rows: list[int]) -> Phrase:
    """The phrase of these words of a text."""
    parts = [words] if isinstance(words, str) else words
    spans: tuple[Span, ...] = tuple((text.index(part), text.index(part) + len(part)) for part in parts)
    return Phrase(spans, boxes(*rows))


def captioned(*captions: CaptionText, path: str = "/x.png") -> CaptionedImage:
    return CaptionedImage(1, path, "x.png", 112, 96, None, captions)


def positives(prompt: SampledPrompt) -> dict[int, str]:
    """The words that each box's tokens spell."""
    return {
        label: TOKENIZER.decode([prompt.input_ids[index] for index in row.nonzero().flatten()])
        for label, row in prompt.positive_map.items()
    }


def test_each_box_is_named_by_the_tokens_of_its_phrases() -> None:
    text = "Red car on the left, a cat and a dog"
    caption = CaptionText(
        1,
        text,
        "caption",
        (phrase(text, ["Red car", "left"], CAR), phrase(text, "cat", CAT), phrase(text, "dog", DOG, CAT)),
    )
    sample = SAMPLER.sample(captioned(caption), np.random.default_rng(0))
    prompt = sample.prompt(sample.labels, False, np.random.default_rng(0))
    assert prompt.text == "red car on the left, a cat and a dog."
    by_box = {tuple(box): positives(prompt)[label] for label, box in enumerate(sample.boxes_xyxy.tolist())}
    # several spans a phrase, several boxes a phrase, several phrases a box
    assert by_box == {tuple(CAR): "red car left", tuple(CAT): "cat dog", tuple(DOG): "dog"}
    assert prompt.unknown_tokens is None


def test_a_phrase_whose_boxes_are_gone_loses_its_tokens() -> None:
    text = "a cat and a dog"
    caption = CaptionText(1, text, "caption", (phrase(text, "cat", CAT), phrase(text, "dog", DOG)))
    sample = SAMPLER.sample(captioned(caption), np.random.default_rng(0))
    assert sample.crops
    (dog,) = np.flatnonzero((sample.boxes_xyxy == boxes(DOG)).all(1))
    prompt = sample.prompt(sample.labels[[dog]], False, np.random.default_rng(0))
    assert positives(prompt) == {dog: "dog"}
    assert prompt.text == "a cat and a dog."


def test_every_word_of_an_expression_is_positive_and_it_reads_as_when_it_is_asked() -> None:
    for text in ("The red car.", "the red car", "  the Red car ?", "the. red? car"):
        sample = SAMPLER.sample(captioned(expression(text, boxes(CAR))), np.random.default_rng(0))
        prompt = sample.prompt(sample.labels, False, np.random.default_rng(0))
        (asked,) = pack(Ontology((Category(text),)), TOKENIZER)  # as `GroundingDetector.refer` does
        assert prompt.input_ids == asked.prompt.input_ids
        # [CLS] the red car . [SEP]
        assert prompt.positive_map[0].int().tolist() == [0, 1, 1, 1, 0, 0]
        assert not sample.crops


def test_an_expression_that_means_nothing_has_no_target() -> None:
    sample = SAMPLER.sample(captioned(expression("the blue dog", boxes())), np.random.default_rng(0))
    prompt = sample.prompt(sample.labels, False, np.random.default_rng(0))
    assert sample.boxes_xyxy.shape == (0, 4)
    assert (prompt.text, prompt.positive_map) == ("the blue dog.", {})


def test_left_and_right_change_places_with_the_image() -> None:
    text = "the left car and the cat"
    caption = CaptionText(1, text, "caption", (phrase(text, "left car", CAR), phrase(text, "cat", CAT)))
    sample = SAMPLER.sample(captioned(caption), np.random.default_rng(0))
    assert (sample.flips, sample.crops) == (True, False)
    prompt = sample.prompt(sample.labels, True, np.random.default_rng(0))
    assert prompt.text == "the right car and the cat."
    assert set(positives(prompt).values()) == {"right car", "cat"}


def test_what_may_be_no_direction_keeps_its_image_as_it_is() -> None:
    sample = SAMPLER.sample(captioned(expression("the cat right behind the dog", boxes(CAT))), np.random.default_rng(0))
    assert not sample.flips


def test_texts_the_detector_cannot_read_to_the_end_are_left_out() -> None:
    short, long = expression("the red car", boxes(CAR)), expression("cat " * 30 + "dog", boxes(CAR))
    sampler = CaptionSampler(TOKENIZER, max_tokens=20)
    kept = sampler.readable([captioned(short, long), captioned(long), captioned(expression("?", boxes()))])
    assert [image.captions for image in kept] == [(short,)]
    assert len(SAMPLER.readable([captioned(long)])) == 1


def test_over_many_visits_every_text_of_an_image_is_drawn() -> None:
    image = captioned(*(expression(text, boxes(CAR)) for text in ("red car", "the car", "car on the left")))
    drawn = {
        sample.prompt(sample.labels, False, rng).text
        for rng in (np.random.default_rng(seed) for seed in range(30))
        for sample in [SAMPLER.sample(image, rng)]
    }
    assert drawn == {"red car.", "the car.", "car on the left."}


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=("Cc", "Zl", "Zp", "Cs")), min_size=1, max_size=20))
def test_any_text_keeps_its_words_in_place(text: str) -> None:
    whole = f"cat {text} dog"
    caption = CaptionText(1, whole, "caption", (Phrase(((0, 3), (len(whole) - 3, len(whole))), boxes(CAR)),))
    sample = SAMPLER.sample(captioned(caption), np.random.default_rng(0))
    assert positives(sample.prompt(sample.labels, False, np.random.default_rng(0))) == {0: "cat dog"}


def test_captions_and_labels_are_mixed_in_their_share(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 4)
    of_image = labelled[2]  # 128 x 96
    text = "a red car"
    caption = CaptionText(1, text, "caption", (phrase(text, "red car", of_image.boxes_xyxy[0].tolist()),))
    image = replace(captioned(caption, path=of_image.path), width=of_image.width, height=of_image.height)
    config = replace(QUICK, mode="vocabulary", batch_size=4, captions=0.25)
    share = shares(config, captions=True)
    sources = [
        Source(labelled, PromptSampler(ONTOLOGY, TOKENIZER, config.mode, 3), share.categories),
        Source([image], SAMPLER, share.captions),
    ]
    make = BatchMaker(sources, Preprocessing(96, 160), config)
    for step in (1, 2, 9):
        (batch,) = make(step)
        assert batch.texts.count("a red car.") == 1
        target = batch.targets[batch.texts.index("a red car.")]
        assert target.positive_map.int().tolist() == [[0, 0, 1, 1, 0, 0]]


@pytest.mark.parametrize(
    ("have", "expected"),
    [
        ((True, False, False), (1.0, 0.0, 0.0)),
        ((True, True, False), (0.6, 0.4, 0.0)),
        ((True, True, True), (0.48, 0.32, 0.2)),
        ((False, True, True), (0.0, 0.8, 0.2)),
        ((True, False, True), (0.8, 0.0, 0.2)),
    ],
)
def test_shares_follow_the_settings_where_there_are_such_images(
    have: tuple[bool, bool, bool], expected: tuple[float, float, float]
) -> None:
    config = replace(QUICK, captions=0.4, replay=0.2)
    found = shares(config, categories=have[0], captions=have[1], replay=have[2])
    np.testing.assert_allclose((found.categories, found.captions, found.replay), expected)


def test_however_much_is_replayed_boxes_are_still_learnt_beside_captions() -> None:
    found = shares(replace(QUICK, captions=0.5, replay=0.5), captions=True, replay=True)
    assert (found.categories, found.captions, found.replay) == (0.25, 0.25, 0.5)
