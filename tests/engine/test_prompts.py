import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from engine.errors import PromptError
from engine.ontology import Category, Ontology
from engine.prompts import BLOCK_ENDS, encode, fitting, longest_block, pack, positive_map
from tests.tiny_checkpoint import tiny_tokenizer

TOKENIZER: PreTrainedTokenizerBase = tiny_tokenizer()
NAMES = st.lists(st.text(min_size=1, max_size=12).map(lambda text: text + "x"), min_size=1, max_size=120, unique=True)


def words(prompt_ids: tuple[int, ...], start: int, end: int) -> list[str]:
    tokens: list[str] = TOKENIZER.convert_ids_to_tokens(list(prompt_ids[start:end]))
    return tokens


def test_a_phrase_owns_its_tokens_and_not_the_full_stop() -> None:
    (packed,) = pack(Ontology.from_prompt("cat. remote control. cats"), TOKENIZER)
    assert packed.prompt.text == "cat. remote control. cats."
    # [CLS] cat . remote control . cat ##s . [SEP]
    assert packed.prompt.spans == ((1, 2), (3, 5), (6, 8))
    assert words(packed.prompt.input_ids, 6, 8) == ["cat", "##s"]


def test_the_positive_map_marks_the_tokens_of_each_phrase() -> None:
    (packed,) = pack(Ontology.from_prompt("cat. red car"), TOKENIZER)
    assert positive_map(packed.prompt).int().tolist() == [[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0]]


def test_every_phrase_of_a_category_points_back_to_it() -> None:
    (packed,) = pack(Ontology((Category("animal", ("cat", "dog")), Category("car"))), TOKENIZER)
    assert packed.phrases == ("cat", "dog", "car")
    assert packed.categories == (0, 0, 1)


@pytest.mark.parametrize("name", ["a/b", "${x}", "<script>", "yes", "🐈", "🐈🐈‍⬛", "[SEP] cat", "naïve café", "no. 5"])
def test_unusual_names_are_one_phrase(name: str) -> None:
    (packed,) = pack(Ontology.from_names(["cat", name, "dog"]), TOKENIZER)
    assert len(packed.prompt.spans) == 3
    assert words(packed.prompt.input_ids, packed.prompt.spans[1][1], packed.prompt.spans[2][0]) == ["."]
    assert words(packed.prompt.input_ids, *packed.prompt.spans[2]) == ["dog"]


def test_a_phrase_of_300_tokens_is_refused_by_name() -> None:
    with pytest.raises(PromptError, match=r"'cat cat .*…' of category 'crowd' takes 300 tokens.*Shorten it") as refusal:
        pack(Ontology((Category("dog"), Category("crowd", ("cat " * 300,)))), TOKENIZER)
    assert "\n" not in str(refusal.value)


def test_a_phrase_longer_than_the_text_encoder_knows_is_refused() -> None:
    with pytest.raises(PromptError, match="takes 8 tokens; the detector reads 7 a phrase"):
        pack(Ontology.from_names(["cat " * 8]), TOKENIZER, block_tokens=8)


def test_a_category_whose_phrases_do_not_fit_together_is_refused_by_name() -> None:
    phrases = tuple("cat " * n for n in range(1, 30))
    with pytest.raises(PromptError, match="The 29 phrases of category 'cats' take 464 tokens"):
        pack(Ontology((Category("cats", phrases),)), TOKENIZER)


def test_a_name_the_tokenizer_drops_is_refused() -> None:
    (packed,) = pack(Ontology.from_names(["cat"]), TOKENIZER)
    assert packed.prompt.input_ids == (101, *TOKENIZER.convert_tokens_to_ids(["cat", "."]), 102)
    with pytest.raises(PromptError, match="nothing the detector can read"):
        encode("cat \u200b.", [(4, 5)], TOKENIZER)


def test_a_span_outside_the_text_is_refused() -> None:
    with pytest.raises(PromptError, match="Span 2:9 is not inside the 4 characters"):
        encode("cat.", [(2, 9)], TOKENIZER)


def test_a_block_is_counted_with_its_end() -> None:
    assert longest_block(encode("a cat. dog.", [], TOKENIZER)) == 3


def test_eighty_categories_take_one_prompt_and_a_thousand_take_several() -> None:
    assert len(pack(Ontology.from_names([f"{i}" for i in range(10)]), TOKENIZER)) == 1
    many = pack(Ontology.from_names([f"cat {i}" for i in range(1000)]), TOKENIZER)
    assert [index for packed in many for index in packed.categories] == list(range(1000))
    assert all(len(packed.prompt.input_ids) <= 256 for packed in many)


@settings(max_examples=60)
@given(names=NAMES)
def test_any_names_keep_their_tokens_apart(names: list[str]) -> None:
    try:
        ontology = Ontology.from_names(names)
    except PromptError:  # two names that clean to the same phrase
        return
    chunks = pack(ontology, TOKENIZER)
    assert [index for packed in chunks for index in packed.categories] == list(range(len(ontology.categories)))
    for packed in chunks:
        ids = packed.prompt.input_ids
        assert len(ids) <= 256
        covered = {i for start, end in packed.prompt.spans for i in range(start, end)}
        # Everything outside the phrases is [CLS], one '.' a phrase, [SEP]; nothing inside ends a block.
        assert [ids[i] for i in range(len(ids)) if i not in covered] == [101, *[1012] * len(packed.phrases), 102]
        assert not {ids[i] for i in covered} & BLOCK_ENDS
        for phrase, (start, end) in zip(packed.phrases, packed.prompt.spans, strict=True):
            alone = TOKENIZER(phrase, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            assert list(ids[start:end]) == alone


def test_the_most_important_categories_that_fit_make_one_prompt() -> None:
    ontology = Ontology.from_names(["cat", "red car", "dog", "blue bird"])
    all_of_it = fitting(ontology, [3, 0, 1, 2], tiny_tokenizer())
    assert all_of_it.categories == (0, 1, 2, 3)
    assert all_of_it.prompt == pack(ontology, tiny_tokenizer())[0].prompt
    some = fitting(ontology, [3, 0, 1, 2], tiny_tokenizer(), max_tokens=2 + 3 + 2)  # "blue bird." and "cat."
    assert some.categories == (0, 3)
    assert some.phrases == ("cat", "blue bird")
