"""The prompts that the starter is trained with."""

import numpy as np
import pytest

from engine.ontology import Ontology
from engine.prompts import pack
from training.starter.casting import described
from training.starter.prompts import MAX_TOKENS, PromptRules, PromptWriter
from training.starter.tokenizer import build_tokenizer
from training.worlds import CONCEPTS


def test_a_written_prompt_equals_the_engines() -> None:
    tokenizer = build_tokenizer()
    names = ["dog", "red apple", "camera", "traffic light"]
    written = PromptWriter(tokenizer).write(described(names))
    (packed,) = pack(Ontology.from_names(names), tokenizer)
    assert written.input_ids.tolist() == list(packed.prompt.input_ids)
    assert list(written.spans) == list(packed.prompt.spans)


@pytest.mark.parametrize("caption_share", [0.0, 1.0])
def test_the_span_of_a_phrase_holds_its_words(caption_share: float) -> None:
    tokenizer = build_tokenizer()
    writer = PromptWriter(tokenizer, PromptRules(names=(1, 4, 8, 40, 80), caption_share=caption_share))
    for seed in range(30):
        _, prompt = writer.draw(np.random.default_rng(seed))
        assert len(prompt.input_ids) <= MAX_TOKENS + 2
        assert prompt.phrases
        assert prompt.input_ids[-2] == 1012  # without the last '.', padding would change the last phrase's scores
        for phrase, (start, end) in zip(prompt.phrases, prompt.spans, strict=True):
            assert tokenizer.decode(prompt.input_ids[start:end]) == phrase.text


def test_a_positive_map_marks_the_tokens_of_each_thing() -> None:
    names = [concept.name for concept in CONCEPTS]
    dog, apple = names.index("dog"), names.index("red apple")
    prompt = PromptWriter(build_tokenizer()).write(described(["dog", "red apple"]))  # [CLS] dog . red apple . [SEP]
    assert prompt.positive_map([apple, dog, apple]).int().tolist() == [
        [0, 0, 0, 1, 1, 0, 0],
        [0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 0, 0],
    ]


def test_the_synonyms_kept_for_measuring_are_never_written() -> None:
    kept = {concept.unseen for concept in CONCEPTS} - {""}
    writer = PromptWriter(build_tokenizer())
    for seed in range(200):
        _, prompt = writer.draw(np.random.default_rng(seed))
        assert not {phrase.text for phrase in prompt.phrases} & kept
