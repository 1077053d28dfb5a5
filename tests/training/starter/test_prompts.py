"""The prompts that the starter is trained with."""

import numpy as np
import pytest

from engine.ontology import Ontology
from engine.prompts import pack
from training.starter.prompts import MAX_TOKENS, PromptRules, PromptWriter
from training.starter.tokenizer import build_tokenizer
from training.worlds import CONCEPTS


def test_a_written_prompt_equals_the_engines() -> None:
    tokenizer = build_tokenizer()
    concepts = [0, 32, 63, 5]
    written = PromptWriter(tokenizer).write(concepts)
    (packed,) = pack(Ontology.from_names([CONCEPTS[index].name for index in concepts]), tokenizer)
    assert written.input_ids[0].tolist() == list(packed.prompt.input_ids)
    assert [written.spans[index] for index in concepts] == list(packed.prompt.spans)


@pytest.mark.parametrize("caption_share", [0.0, 1.0])
def test_the_span_of_a_concept_holds_one_of_its_names(caption_share: float) -> None:
    tokenizer = build_tokenizer()
    rules = PromptRules(names=(1, 4, 8, 40, 80), synonym_share=0.5, caption_share=caption_share)
    writer = PromptWriter(tokenizer, rules)
    for seed in range(30):
        prompt = writer.draw(np.random.default_rng(seed))
        assert prompt.input_ids.shape[1] <= MAX_TOKENS + 2
        assert prompt.spans
        ids = prompt.input_ids[0]
        assert ids[-2] == 1012  # without the last '.', padding would change the last phrase's scores
        for concept, (start, end) in prompt.spans.items():
            names = {CONCEPTS[concept].name, *CONCEPTS[concept].synonyms}
            assert tokenizer.decode(ids[start:end]) in names


def test_a_positive_map_marks_the_tokens_of_each_box() -> None:
    prompt = PromptWriter(build_tokenizer()).write([0, 32])  # [CLS] dog . red apple . [SEP]
    assert prompt.positive_map([32, 0, 32]).int().tolist() == [
        [0, 0, 0, 1, 1, 0, 0],
        [0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 0, 0],
    ]
