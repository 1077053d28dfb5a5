"""The starter's tokenizer."""

from pathlib import Path

from transformers import AutoTokenizer

from engine.ontology import Ontology
from engine.prompts import pack
from training.starter.tokenizer import FIXED_IDS, build_tokenizer, known_words
from training.worlds import CONCEPTS


def test_the_ids_that_end_a_phrase_stand_where_the_models_expect_them() -> None:
    tokenizer = build_tokenizer()
    for token, index in FIXED_IDS.items():
        assert tokenizer.convert_tokens_to_ids(token) == index
    assert tokenizer("cat. dog?")["input_ids"][0::2] == [101, 1012, 1029]


def test_a_word_it_does_not_know_is_spelled() -> None:
    tokenizer = build_tokenizer()
    assert tokenizer.tokenize("Zeppelin 7x café") == [
        *("z", "##e", "##p", "##p", "##e", "##l", "##i", "##n"),
        *("7", "##x"),
        *("c", "##a", "##f", "##e"),
    ]


def test_every_known_word_is_one_token() -> None:
    tokenizer = build_tokenizer()
    assert [word for word in known_words() if tokenizer.tokenize(word) != [word]] == []


def test_the_names_of_a_hundred_concepts_fit_in_one_prompt() -> None:
    names = [concept.name for concept in CONCEPTS[:100]]
    (packed,) = pack(Ontology.from_names(names), build_tokenizer())
    assert len(packed.phrases) == 100


def test_the_words_of_every_synonym_are_known() -> None:
    known = set(known_words())
    synonyms = {word for concept in CONCEPTS for synonym in concept.synonyms for word in synonym.split()}
    assert not {word for word in synonyms if len(word) > 1} - known


def test_it_loads_again_through_transformers(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    text = "Red Apple. traffic light? zeppelin."
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
