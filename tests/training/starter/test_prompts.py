"""The prompts that the starter is trained with."""

import numpy as np
import pytest

from engine.ontology import Ontology
from engine.prompts import pack
from training.starter.casting import CastRules, Phrase, draw_cast
from training.starter.prompts import MAX_TOKENS, PromptRules, PromptWriter
from training.starter.tokenizer import build_tokenizer
from training.worlds import CONCEPTS, THINGS
from training.worlds.nouns import plural


def test_a_written_prompt_equals_the_engines() -> None:
    tokenizer = build_tokenizer()
    names = ["dog", "red apple", "camera", "traffic light"]
    written = PromptWriter(tokenizer).write([Phrase(name) for name in names])
    (packed,) = pack(Ontology.from_names(names), tokenizer)
    assert written.input_ids.tolist() == list(packed.prompt.input_ids)
    assert list(written.spans) == list(packed.prompt.spans)


@pytest.mark.parametrize("sentence_share", [0.0, 1.0])
def test_the_span_of_a_phrase_holds_its_words(sentence_share: float) -> None:
    tokenizer = build_tokenizer()
    writer = PromptWriter(tokenizer, PromptRules(names=(1, 4, 8, 40, 80), sentence_share=sentence_share))
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
    phrases = [Phrase("dog", (dog,)), Phrase("red apple", (apple,))]
    prompt = PromptWriter(build_tokenizer()).write(phrases)  # [CLS] dog . red apple . [SEP]
    assert prompt.positive_map([apple, dog, apple]).int().tolist() == [
        [0, 0, 0, 1, 1, 0, 0],
        [0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 0, 0],
    ]


def test_the_synonyms_kept_for_measuring_are_never_written() -> None:
    kept = {concept.unseen for concept in CONCEPTS} - {"", *(thing.name for thing in THINGS)}  # "yellow pencil" is one
    writer = PromptWriter(build_tokenizer())
    for seed in range(200):
        _, prompt = writer.draw(np.random.default_rng(seed))
        assert not {phrase.text for phrase in prompt.phrases} & kept


def test_a_sentence_holds_several_phrases_and_ends_by_a_full_stop() -> None:
    tokenizer = build_tokenizer()
    writer = PromptWriter(tokenizer, PromptRules(names=(24,), sentence_share=1.0))
    lengths = set()
    for seed in range(20):
        _, prompt = writer.draw(np.random.default_rng(seed))
        ends = (prompt.input_ids == 1012).nonzero().flatten().tolist()
        sentences = [sum(start < end for start, _ in prompt.spans) for end in ends]
        lengths |= {after - before for before, after in zip([0, *sentences], sentences, strict=False)}
    assert lengths == {1, 2, 3, 4, 5, 6}


def test_some_phrases_are_said_as_in_a_sentence() -> None:
    rules = CastRules(spoken_share=1.0, synonym_share=0.0, tinted_share=0.0, shape_share=0.0)
    cast = draw_cast(np.random.default_rng(0), 60, rules)
    texts = {phrase.text for phrase in cast.phrases}
    assert {text.split()[0] for text in texts} >= {"a", "the", "two", "three"}
    untold = {concept.name for concept in CONCEPTS if not concept.told}
    alike = {concept.noun for concept in CONCEPTS if plural(concept.noun) == concept.noun}  # "sheep" are several, too
    assert {text for text in texts if text in {concept.name for concept in CONCEPTS}} <= untold | alike
