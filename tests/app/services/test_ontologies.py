from collections.abc import Iterator
from pathlib import Path

import pytest

from annotations.categories import ensure_categories
from annotations.database import Store
from annotations.datasets import create_dataset
from annotations.queries import dataset_by_name
from app.services.ontologies import adopt, of_dataset, read_ontology
from engine.errors import PromptError
from engine.ontology import Ontology


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "test.db")
    with store.writing() as session:
        dataset = create_dataset(session, "cells")
        ensure_categories(session, dataset.id, [("RBC", ["red blood cell", "erythrocyte"])])
    yield store
    store.close()


def test_a_name_in_another_case_finds_the_category_with_its_phrases(store: Store) -> None:
    with store.writing() as session:
        adopted = adopt(session, dataset_by_name(session, "cells"), Ontology.from_prompt("rbc. platelet."))
    assert adopted.ontology.names == ("RBC", "platelet")
    assert adopted.ontology.categories[0].phrases == ("red blood cell", "erythrocyte")


def test_what_the_dataset_does_not_have_is_added_once(store: Store) -> None:
    ids = []
    for _ in range(2):
        with store.writing() as session:
            ids.append(
                adopt(session, dataset_by_name(session, "cells"), Ontology.from_prompt("platelet.")).category_ids
            )
    assert ids[0] == ids[1]
    with store.reading() as session:
        assert of_dataset(session, dataset_by_name(session, "cells")).names == ("RBC", "platelet")


def test_yaml_scalars_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "o.yaml"
    path.write_text("yes: [yes, on]\nno:\n1.0: version one\n")
    ontology = read_ontology(path)
    assert ontology.names == ("yes", "no", "1.0")
    assert ontology.categories[0].phrases == ("yes", "on")


def test_a_yaml_list_of_names_is_an_ontology(tmp_path: Path) -> None:
    path = tmp_path / "o.yaml"
    path.write_text("- cat\n- remote control\n")
    assert read_ontology(path).names == ("cat", "remote control")


@pytest.mark.parametrize(
    "content",
    ["", "just text", "a: {b: c}", "a: [1, [2]]", "a: &x [b]\nc: *x\n", "a: [", "!!python/object:os.system {}", "[]"],
)
def test_a_file_that_is_no_ontology_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "o.yaml"
    path.write_text(content)
    with pytest.raises(PromptError) as refused:
        read_ontology(path)
    assert "\n" not in str(refused.value)


def test_an_ontology_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"gone\.yaml' can't be read \(No such file or directory\)"):
        read_ontology(tmp_path / "gone.yaml")
    (tmp_path / "o.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(PromptError, match=r"o\.yaml' can't be read \(it is not UTF-8 text\)"):
        read_ontology(tmp_path / "o.yaml")
