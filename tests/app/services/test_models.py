from pathlib import Path

import pytest

from annotations import runs
from annotations.errors import NotFound
from app.services import Services, opened
from app.services.models import LLMDET, ModelNotFound, Models, pull
from engine.errors import WeightsMissing
from tests.tiny_sam import tiny_transformers_sam


def test_without_a_choice_the_starter_is_in_use(tmp_path: Path) -> None:
    with opened(tmp_path) as services:
        assert services.models.current() == "starter"
        assert [(view.name, view.promoted) for view in services.models.list()] == [("starter", True)]


def test_the_promoted_checkpoint_is_in_use_until_it_is_rolled_back(tmp_path: Path, tiny_detector: Path) -> None:
    with opened(tmp_path) as services:
        with services.store.writing() as session:
            runs.register_checkpoint(session, "mine", tiny_detector, "starter", metrics={"AP50": 0.5})
        services.models.promote("mine")
        assert services.models.detector().name == "mine"
        assert services.models.rollback() == "starter"


def test_a_detector_that_was_asked_for_wins_until_another_is_promoted(services: Services, tiny_detector: Path) -> None:
    with services.store.writing() as session:
        runs.register_checkpoint(session, "mine", tiny_detector, "starter")
        runs.promote(session, "mine")
    assert services.models.current() == str(tiny_detector)
    services.models.promote("mine")
    assert services.models.current() == "mine"


def test_the_starter_can_be_promoted_also_where_a_better_detector_was_fetched(services: Services) -> None:
    models = Models(services.store, is_cached=lambda _hub_id: True)
    assert models.current() == LLMDET
    models.promote("starter")
    assert models.current() == "starter"
    assert models.rollback() == LLMDET


def test_a_detector_is_loaded_once(services: Services) -> None:
    assert services.models.detector() is services.models.detector()


def test_an_unknown_name_says_what_there_is(services: Services) -> None:
    with pytest.raises(ModelNotFound, match=r"no detector 'nope'.*starter.*llmdet_tiny"):
        services.models.source("nope")


def test_a_checkpoint_that_does_not_exist_cannot_be_promoted(services: Services) -> None:
    with pytest.raises(NotFound, match="'nope'"):
        services.models.promote("nope")


def test_a_public_detector_is_not_promoted_but_asked_for(services: Services, tiny_detector: Path) -> None:
    with pytest.raises(ModelNotFound, match="--detector llmdet_tiny"):
        services.models.promote("llmdet_tiny")
    with services.store.writing() as session:
        runs.register_checkpoint(session, "llmdet_tiny", tiny_detector, "starter")
    services.models.promote("llmdet_tiny")  # one that was taught here may be called so
    assert services.models.current() == "llmdet_tiny"


def test_what_was_fetched_is_listed_by_its_short_name(services: Services) -> None:
    assert Models(services.store, is_cached=lambda hub_id: hub_id == LLMDET).fetched() == ["llmdet_tiny"]


def test_what_is_fetched_is_loaded_as_what_it_is(tmp_path: Path, tiny_detector: Path) -> None:
    tiny_transformers_sam().save_pretrained(tmp_path)
    assert pull(str(tmp_path)) == "segmenter"
    assert pull(str(tiny_detector)) == pull("starter") == "detector"


def test_a_folder_without_weights_is_one_line(services: Services, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(WeightsMissing) as missing:
        services.models.detector(str(empty))
    assert "\n" not in str(missing.value)
