"""Teaching, models and status over HTTP, short of starting a run (the browser test does that)."""

import json
from pathlib import Path

import pytest

from annotations import runs
from app.version import VERSION
from tests.app.workbench import Bench, workbench

NO_RUN = "00000000-0000-0000-0000-000000000000"


def test_a_dataset_without_annotations_says_why_it_cannot_be_taught(bench: Bench) -> None:
    answer = bench.client.get(f"/api/datasets/{bench.dataset_id}/teachable").json()
    assert answer["reasons"] == ["Nothing is annotated yet: accept or draw some boxes in Label."]
    refused = bench.client.post(f"/api/datasets/{bench.dataset_id}/train", {})
    assert (refused.status, refused.json()) == (422, {"error": answer["reasons"][0]})
    assert bench.client.get(f"/api/datasets/{bench.dataset_id}/runs").json() == {"runs": []}


@pytest.mark.parametrize(
    "body",
    [{"steps": 0}, {"steps": 10**9}, {"steps": "many"}, {"mode": "evil"}, {"name": "x" * 101}, {"config": "/etc"}],
)
def test_wrong_settings_are_refused(bench: Bench, body: object) -> None:
    assert bench.client.post(f"/api/datasets/{bench.dataset_id}/train", body).status == 422


def test_a_run_is_shown_with_its_curves_and_its_reason(bench: Bench) -> None:
    folder = bench.services.workspace.runs
    with bench.services.store.writing() as session:
        run = runs.create_run(session, "train", dataset_id=bench.dataset_id, params={"name": "<i>mine</i>"})
        run_id = run.id
        runs.start_run(session, run_id)
        runs.finish_run(session, run_id, "failed", error="out of memory\nat step 5")
    (folder / str(run_id)).mkdir()
    lines = [
        {"event": "evaluation", "step": 0, "steps": 10, "AP": 0.1, "AP50": 0.2},
        {"event": "step", "step": 5, "steps": 10, "loss": 3.5, "learning_rate": 1e-4, "eta_seconds": 4.0},
    ]
    (folder / str(run_id) / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (view,) = bench.client.get(f"/api/datasets/{bench.dataset_id}/runs").json()["runs"]
    assert (view["id"], view["name"], view["state"]) == (str(run_id), "<i>mine</i>", "failed")
    assert (view["error"], view["resumable"]) == ("out of memory at step 5", True)
    progress = bench.client.get(f"/api/runs/{run_id}").json()
    assert (progress["step"], progress["steps"], progress["eta_seconds"]) == (5, 10, None)
    assert [point["loss"] for point in progress["points"]] == [3.5]
    assert [row["AP50"] for row in progress["evaluations"]] == [0.2]


def test_a_run_that_is_not_there_is_not_found(bench: Bench) -> None:
    assert bench.client.get(f"/api/runs/{NO_RUN}").status == 404
    for verb in ("stop", "resume"):
        assert bench.client.post(f"/api/runs/{NO_RUN}/{verb}", {}).status == 404
    assert bench.client.get("/api/runs/x").status in (404, 422)


def test_a_checkpoint_is_put_to_work_and_taken_back(bench: Bench) -> None:
    with bench.services.store.writing() as session:
        runs.register_checkpoint(session, "mine ${1}", "/nowhere", "starter", metrics={"AP": 0.5, "AP50": 0.7})
    first = bench.client.get("/api/models").json()
    before = first["current"]
    assert [(model["name"], model["promoted"]) for model in first["models"]] == [
        ("mine ${1}", False),
        ("starter", True),
    ]
    assert bench.client.post("/api/models/promote", {"name": "mine ${1}"}).json() == {"current": "mine ${1}"}
    assert bench.client.get("/api/status").json()["detector"] == "mine ${1}"
    assert bench.client.post("/api/models/rollback", {}).json() == {"current": before}
    assert bench.client.post("/api/models/rollback", {}).status == 422
    assert bench.client.post("/api/models/promote", {"name": "other"}).status == 404


def test_public_detectors_that_were_fetched_are_named_but_for_the_one_at_work(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    fetched = tmp_path / "models--IDEA-Research--grounding-dino-tiny"
    (fetched / "refs").mkdir(parents=True)
    (fetched / "refs" / "main").write_text("abc")
    (fetched / "snapshots" / "abc").mkdir(parents=True)
    (fetched / "snapshots" / "abc" / "model.safetensors").touch()
    assert bench.client.get("/api/models").json()["fetched"] == ["grounding-dino-tiny"]
    for name in ("grounding-dino-tiny", "IDEA-Research/grounding-dino-tiny"):
        (folder := tmp_path / name).mkdir(parents=True)
        with workbench(folder, detector=name) as other:
            assert other.client.get("/api/models").json()["fetched"] == []  # it is at work already


def test_a_choice_on_the_page_outweighs_the_detector_the_server_was_started_with(tmp_path: Path) -> None:
    with workbench(tmp_path, detector="/models/other") as bench:
        with bench.services.store.writing() as session:
            runs.register_checkpoint(session, "mine", "/nowhere", "starter")
        assert bench.client.get("/api/models").json()["current"] == "/models/other"
        assert bench.client.post("/api/models/promote", {"name": "mine"}).json() == {"current": "mine"}


def test_the_status_names_what_is_running(bench: Bench) -> None:
    status = bench.client.get("/api/status").json()
    assert (status["version"], status["segmenter"]) == (VERSION, "starter")
    assert status["workspace"] == str(bench.services.workspace.root)
    assert status["device"].split(":")[0] in ("cpu", "cuda", "mps")
