from dataclasses import replace

import pytest

from engine.ontology import Ontology
from training.config import TrainConfig
from training.errors import ConfigRefused
from training.novel import hold_out_categories

EIGHT = Ontology.from_names(list("abcdefgh"))
OPEN = TrainConfig(mode="open")


def test_a_quarter_is_held_out_by_the_seed() -> None:
    base, novel = hold_out_categories(EIGHT, OPEN)
    assert (len(base), len(novel)) == (6, 2)
    assert sorted(base + novel) == list(range(8))
    assert hold_out_categories(EIGHT, OPEN) == (base, novel)
    assert len({hold_out_categories(EIGHT, replace(OPEN, seed=seed)) for seed in range(8)}) > 2


def test_of_fewer_than_four_none_is_held_out() -> None:
    assert hold_out_categories(Ontology.from_names(["a", "b", "c"]), OPEN) == ((0, 1, 2), ())


def test_those_with_names_are_held_out_whatever_their_case() -> None:
    assert hold_out_categories(EIGHT, replace(OPEN, novel=("C", "a"))) == ((1, 3, 4, 5, 6, 7), (0, 2))


@pytest.mark.parametrize("mode", ["closed", "vocabulary"])
def test_other_modes_learn_everything(mode: str) -> None:
    assert hold_out_categories(EIGHT, OPEN.updated({"mode": mode})) == (tuple(range(8)), ())


def test_an_unknown_name_and_a_name_too_many_are_refused() -> None:
    with pytest.raises(ConfigRefused, match=r"novel names 'z', which is no category\. There are: 'a', 'b'"):
        hold_out_categories(EIGHT, replace(OPEN, novel=("z",)))
    with pytest.raises(ConfigRefused, match="Leave at least one to learn"):
        hold_out_categories(EIGHT, replace(OPEN, novel=tuple("abcdefgh")))
