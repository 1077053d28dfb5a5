"""Which concepts are taken for which, and what prompts make of it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.checkpoints import load_detector
from tests.training.worlds.font import needs_font
from training.starter.casting import CastRules, draw_cast
from training.starter.confusion import main, measured, table_of
from training.starter.lookalikes import TABLE, look_alikes, practice
from training.worlds.concepts import CONCEPTS

PLAIN = CastRules(shape_share=0.0, tinted_share=0.0)


def test_every_concept_has_look_alikes_that_are_others() -> None:
    assert len(look_alikes()) == len(CONCEPTS)
    for index, alikes in enumerate(look_alikes()):
        assert len(set(alikes)) == len(alikes) <= 8
        assert index not in alikes
    assert sum(len(alikes) == 8 for alikes in look_alikes()) > 0.95 * len(CONCEPTS)


def test_a_table_names_the_highest_scores_of_others_first() -> None:
    scores = np.zeros((len(CONCEPTS), len(CONCEPTS)))
    scores[0, [0, 5, 7]] = 0.9, 0.3, 0.6
    scores[1] = np.nan
    first, second, third = table_of(scores).splitlines()[:3]
    assert first == f"{CONCEPTS[0].name}\t0.90\t{CONCEPTS[7].name} | {CONCEPTS[5].name}"
    assert second == f"{CONCEPTS[1].name}\t\t"  # it was never shown
    assert third == f"{CONCEPTS[2].name}\t0.00\t"  # it was never found


def test_the_table_can_be_read_back() -> None:
    text = TABLE.read_text(encoding="utf-8")
    scores = np.diag([float(line.split("\t")[1]) for line in text.splitlines()])
    for index, alikes in enumerate(look_alikes()):
        scores[index, list(alikes)] = np.linspace(1, 0.5, len(alikes))
    assert table_of(scores) == text


def test_what_is_known_least_is_drawn_most_but_not_without_end() -> None:
    own = {line.split("\t")[0]: float(line.split("\t")[1]) for line in TABLE.read_text(encoding="utf-8").splitlines()}
    known = np.array([own[concept.name] for concept in CONCEPTS])
    assert (np.diff(practice()[np.argsort(known)]) <= 0).all()
    assert np.median(practice()) == pytest.approx(1)
    assert practice().max() == 4

    def drawn(practise: bool) -> NDArray[np.int64]:
        """How often each concept is drawn in prompts of 16."""
        rules = CastRules(shape_share=0.0, tinted_share=0.0, practise=practise)
        casts = [draw_cast(np.random.default_rng(seed), 16, rules) for seed in range(150)]
        things = [thing for cast in casts for phrase in cast.phrases for thing in phrase.things]
        return np.bincount([thing for thing in things if thing < len(CONCEPTS)], minlength=len(CONCEPTS))

    rare = practice() > 2.5
    more = drawn(True)[rare].sum() / drawn(False)[rare].sum()
    assert 2 < more < 4


def test_a_detector_that_is_not_there_is_told_in_one_line_and_the_table_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = TABLE.read_bytes()
    assert main([f"--detector={tmp_path / 'nowhere'}"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert TABLE.read_bytes() == before


@needs_font
def test_a_thing_scores_highest_by_its_own_name() -> None:
    scores = measured(load_detector("starter", device="cpu"), scenes=6)
    shown = np.flatnonzero(~np.isnan(scores).all(1))
    assert 12 <= len(shown) <= 54  # six scenes of at most nine
    assert np.mean(scores[shown].argmax(1) == shown) > 0.4
    assert (scores[shown] <= 1).all() and (scores[shown] >= 0).all()


def test_prompts_hold_look_alikes_as_often_as_they_are_asked_to() -> None:
    def together(share: float) -> float:
        """Of the concepts in prompts of 16, the part whose look-alikes stand beside them."""
        found = []
        rules = CastRules(shape_share=0.0, tinted_share=0.0, alike_share=share)
        for seed in range(60):
            named = {
                thing for phrase in draw_cast(np.random.default_rng(seed), 16, rules).phrases for thing in phrase.things
            }
            concepts = [thing for thing in named if thing < len(CONCEPTS)]
            found += [not named.isdisjoint(look_alikes()[thing]) for thing in concepts]
        return float(np.mean(found))

    assert together(0.0) < 0.35  # 15 others of 541, of which 8 are alike: 0.20, and some more for a shared noun
    assert together(1.0) > 0.5


def test_rivals_are_what_is_taken_for_something_named() -> None:
    cast = draw_cast(np.random.default_rng(3), 4, PLAIN)
    named = {thing for phrase in cast.phrases for thing in phrase.things}
    concepts = [thing for thing in cast.rivals if thing < len(CONCEPTS)]
    assert any(not named.isdisjoint(look_alikes()[thing]) for thing in concepts)
    taken = {thing for thing in cast.others if thing < len(CONCEPTS) and not named.isdisjoint(look_alikes()[thing])}
    assert taken <= set(cast.rivals)
