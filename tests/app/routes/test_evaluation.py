"""Evaluation over HTTP, short of running a detector (the browser test does that)."""

import pytest

from annotations import runs
from app.services.evaluating import keep
from app.services.evaluation_document import EvaluationDocument
from tests.app.workbench import Bench


def test_where_nothing_is_labelled_nothing_can_be_measured(bench: Bench) -> None:
    path = f"/api/datasets/{bench.dataset_id}/evaluations"
    answer = bench.client.get(path).json()
    assert (answer["evaluations"], answer["labelled"], answer["job"]) == ([], [], None)
    for split in (None, "val"):
        refused = bench.client.post(path, {"split": split})
        assert refused.status == 404
        assert "no annotated images" in refused.json()["error"]


@pytest.mark.parametrize("body", [{"split": "all"}, {"split": 1}, {"detector": "x"}, []])
def test_wrong_questions_are_refused(bench: Bench, body: object) -> None:
    assert bench.client.post(f"/api/datasets/{bench.dataset_id}/evaluations", body).status == 422


def test_an_unknown_dataset_is_not_found(bench: Bench) -> None:
    assert bench.client.get("/api/datasets/99/evaluations").status == 404
    assert bench.client.post("/api/datasets/99/evaluations", {}).status == 404


def test_what_was_measured_on_the_command_line_is_shown_on_the_page(bench: Bench) -> None:
    document = EvaluationDocument("<b>mine</b>", "fruit", "val", 4, {"AP": None}, {"${x}": {"AP50": 0.5}})
    keep(bench.services.store, document)
    (view,) = bench.client.get(f"/api/datasets/{bench.dataset_id}/evaluations").json()["evaluations"]
    assert view["document"] == document.as_json()
    assert (view["learnt_from"], bool(view["measured_at"])) == (False, True)


def test_what_the_detector_was_taught_from_is_told_to_compare_with(bench: Bench) -> None:
    path = f"/api/datasets/{bench.dataset_id}/evaluations"
    assert bench.client.get(path).json()["base"] is None
    with bench.services.store.writing() as session:
        runs.register_checkpoint(session, "mine", "/nowhere", "starter")
        runs.promote(session, "mine")
    answer = bench.client.get(path).json()
    assert (answer["detector"], answer["base"]) == ("mine", "starter")
