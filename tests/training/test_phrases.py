import pytest

from engine.ontology import Category, Ontology
from training.phrases import asked_phrases


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("truck_(tow)", ("truck",)),
        ("hot_dog", ("hot dog",)),
        ("Stop_Sign [old]", ("Stop Sign",)),
        ("cup/mug", ("cup", "mug")),
        ("trash / garbage can", ("trash", "garbage can")),
        ("and/or", ("and/or",)),
        ("on/off switch", ("on/off switch",)),
        ("km/h", ("km/h",)),
        ("w/o label", ("w/o label",)),
        ("1/2 inch", ("1/2 inch",)),
        ("cat/cat", ("cat",)),
        ("(unknown)", ("(unknown)",)),
        ("<b>", ("<b>",)),
        ("U.S. flag", ("U.S. flag",)),
        ("Käse", ("Käse",)),
    ],
)
def test_a_name_is_asked_for_in_words(name: str, expected: tuple[str, ...]) -> None:
    assert asked_phrases([(name, [name])]) == [expected]
    assert asked_phrases([(name, [])]) == [expected]


def test_phrases_a_person_chose_stay() -> None:
    assert asked_phrases([("RBC", ["red_blood/cell (small)"])]) == [("red_blood/cell (small)",)]


def test_a_remark_stays_where_two_would_be_called_the_same() -> None:
    named = [(name, [name]) for name in ("bow_(weapon)", "bow_(decorative)", "cup/mug", "mug", "bat_(animal)")]
    found = asked_phrases(named)
    assert found == [("bow weapon",), ("bow decorative",), ("cup/mug",), ("mug",), ("bat",)]
    Ontology(tuple(Category(name, phrases) for (name, _), phrases in zip(named, found, strict=True)))


def test_what_a_person_chose_is_not_taken_by_a_name() -> None:
    assert asked_phrases([("x", ["truck"]), ("truck_(tow)", [])]) == [("truck",), ("truck tow",)]
