import pytest

from engine.errors import PromptError
from engine.ontology import Category, Ontology, clean_phrase


def test_a_prompt_names_one_category_a_sentence() -> None:
    assert Ontology.from_prompt(" cat. remote control .\nRed  car").names == ("cat", "remote control", "Red  car")


def test_a_name_keeps_its_case_and_the_phrase_does_not() -> None:
    category = Category("  No. 5\nBottle? ")
    assert category.name == "No. 5\nBottle?"
    assert category.phrases == ("no 5 bottle",)


def test_phrases_stand_in_for_the_name_and_are_unique() -> None:
    assert Category("kangaroo", ("Kangaroo", "wallaby", "kangaroo.")).phrases == ("kangaroo", "wallaby")


@pytest.mark.parametrize("name", ["a/b", "${x}", "<script>", "yes", "🐈", "👩‍🦰", "猫", "€", "x" * 300])
def test_unusual_names_are_kept_as_they_are(name: str) -> None:
    assert Ontology.from_names([name]).names == (name,)


@pytest.mark.parametrize("prompt", ["", "  ", "...", ". ? .\n"])
def test_an_empty_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(PromptError, match="prompt is empty"):
        Ontology.from_prompt(prompt)


@pytest.mark.parametrize("prompt", ["!!!", "cat. ,;-. dog", "$", "—"])
def test_a_name_of_only_punctuation_is_refused_by_name(prompt: str) -> None:
    with pytest.raises(PromptError, match="has no letter or digit") as refusal:
        Ontology.from_prompt(prompt)
    assert "\n" not in str(refusal.value)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(PromptError, match="half a character"):
        Ontology.from_names(["cat\ud83d"])


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(PromptError, match="no name"):
        Ontology.from_names(["cat", " "])


def test_the_same_name_twice_is_refused() -> None:
    with pytest.raises(PromptError, match="'cat' is named twice"):
        Ontology.from_prompt("cat. dog. cat.")


def test_two_categories_cannot_share_a_phrase() -> None:
    with pytest.raises(PromptError, match="'cat' describes both 'Cat' and 'feline'"):
        Ontology((Category("Cat"), Category("feline", ("big cat", "cat"))))


def test_an_error_about_a_long_name_stays_one_short_line() -> None:
    with pytest.raises(PromptError) as refusal:
        Ontology.from_names(["a\n" * 300, "a\n" * 300])
    assert len(str(refusal.value)) < 160
    assert "\n" not in str(refusal.value)


def test_cleaning_a_clean_phrase_changes_nothing() -> None:
    assert clean_phrase(clean_phrase(" A.B?\t c ")) == clean_phrase(" A.B?\t c ") == "a b c"
