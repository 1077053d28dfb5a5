import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import torch
from safetensors.torch import load_file
from sqlalchemy import delete

from annotations import runs
from annotations.errors import NotFound
from annotations.models import Annotation, Checkpoint, Run
from engine.checkpoints import load_grounding_detector
from engine.errors import WeightsMissing
from tests.training.workspaces import Bench, add_squares, make_bench
from training.errors import CheckpointNotSaved, ConfigRefused, JobRefused, NothingToTrain
from training.job import resume_training, run_training
from training.metrics.coco import COCO_METRICS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "workspace")
    yield made
    made.store.close()


def row(bench: Bench, run: str | UUID) -> Run:
    with bench.store.reading() as session:
        return runs.run_by_id(session, UUID(str(run)))


def only_run(bench: Bench) -> Run:
    with bench.store.reading() as session:
        (run,) = runs.runs(session)
        return run


def lines(bench: Bench, run: str | UUID) -> list[dict[str, Any]]:
    text = (bench.root / "runs" / str(run) / "progress.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_ends_with_a_registered_checkpoint_that_loads(bench: Bench) -> None:
    dataset_id = add_squares(bench, train=4, val=2)
    said: list[dict[str, Any]] = []
    document = run_training(bench.store, bench.root, bench.request(), say=said.append)
    assert document["state"] == "done"
    assert document["checkpoint"] == "squares-1"
    assert set(document["metrics"]) == set(document["before"]) == set(COCO_METRICS)
    assert document["notes"][-1].startswith("What the detector forgets is not measured")
    assert (document["kept"], len(document["snapshot"])) == (None, 64)
    json.dumps(document, allow_nan=False)
    folder = Path(document["folder"])
    assert folder == bench.root / "checkpoints" / "squares-1"
    taught = load_grounding_detector(folder, device="cpu")
    assert taught.preprocessing.shortest_edge == 96
    with bench.store.reading() as session:
        (checkpoint,) = runs.checkpoints(session)
    assert (checkpoint.name, checkpoint.base, checkpoint.dataset_id) == ("squares-1", "tiny", dataset_id)
    assert str(checkpoint.run_id) == document["run"]
    assert checkpoint.metrics["AP50"] == document["metrics"]["AP50"]
    run = row(bench, document["run"])
    assert (run.state, run.result, run.error) == ("done", document, None)
    assert said == lines(bench, document["run"])


def test_the_progress_file_tells_of_steps_and_validations(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    document = run_training(bench.store, bench.root, bench.request())
    told = [line for line in lines(bench, document["run"]) if line.get("event") != "note"]
    assert [(line["step"], line.get("event", "step")) for line in told] == [
        (0, "evaluation"),
        (1, "step"),
        (2, "step"),
        (2, "evaluation"),
        (3, "step"),
        (4, "step"),
        (4, "evaluation"),
    ]
    step = told[1]
    assert set(step) == {"step", "steps", "loss", "losses", "learning_rate", "seconds", "eta_seconds"}
    assert step["loss"] == pytest.approx(sum(step["losses"].values()), abs=1e-4)
    assert {"step", "steps", "AP", "AP50"} <= set(told[0])
    assert (told[0]["best_step"], told[3]["best_step"]) == (0, 2)
    assert told[-1]["best_step"] == document["best_step"]
    assert set(document["per_category_before"]) == set(document["per_category"]) == {"blue ball", "red car"}


def test_the_manifest_says_how_the_checkpoint_was_made(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    document = run_training(bench.store, bench.root, bench.request(name="mine"))
    folder = Path(document["folder"])
    manifest = json.loads((folder / "groundwork.json").read_text())
    assert (manifest["base"], manifest["dataset"], manifest["run"]) == ("tiny", "squares", document["run"])
    assert manifest["prompt"] == "blue ball. red car."
    assert manifest["config"]["learning_rate"] == 0.002
    assert manifest["after"]["metrics"] == document["metrics"]
    files = {path.name for path in folder.iterdir()} - {"groundwork.json"}
    assert {"model.safetensors", "config.json", "preprocessor_config.json"} <= files == set(manifest["sha256"])
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_numbers_in_the_document_are_those_of_the_saved_weights(bench: Bench) -> None:
    from training.dataset import read_dataset
    from training.metrics import evaluate_detector

    add_squares(bench, train=4, val=2)
    document = run_training(bench.store, bench.root, bench.request())
    with bench.store.reading() as session:
        dataset = read_dataset(session, "squares")
    detector = load_grounding_detector(document["folder"], device="cpu")
    again = evaluate_detector(detector, dataset.of_split("val"), dataset.ontology)
    assert dict(again.metrics) == pytest.approx(document["metrics"], abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"train": 1}, "The only labelled image is both learnt from and measured on"),
        ({"train": 4}, "All 4 labelled images are both learnt from and measured on"),
        ({"train": 10}, "There is no labelled val split: 2 of 10 images are held out"),
    ],
)
def test_without_a_val_split_training_works_and_says_what_it_measures_on(
    bench: Bench, counts: dict[str, Any], told: str
) -> None:
    add_squares(bench, **counts)
    document = run_training(bench.store, bench.root, bench.request(steps=1))
    assert document["state"] == "done"
    assert any(told in note for note in document["notes"])
    assert [line["note"] for line in lines(bench, document["run"]) if "note" in line] == document["notes"]


def test_test_images_are_neither_learnt_from_nor_measured_on(bench: Bench) -> None:
    add_squares(bench, train=2, val=1, test=3)
    for path in list((bench.root / "images of squares").glob("*.png")):
        if path.name in ("3.png", "4.png", "5.png"):
            path.unlink()  # touching one would fail
    assert run_training(bench.store, bench.root, bench.request())["state"] == "done"


@pytest.mark.parametrize(
    ("counts", "labels", "told"),
    [
        ({"train": 3}, False, "has no annotation. Label some images"),
        ({"train": 0, "test": 2}, True, "only in its test split"),
        ({"train": 0, "val": 1, "test": 1}, True, "only in its val and test split"),
        ({"train": 0}, True, "has no annotation"),
    ],
)
def test_nothing_to_learn_from_is_one_clear_line(bench: Bench, counts: dict[str, Any], labels: bool, told: str) -> None:
    add_squares(bench, **counts, labels=labels)
    with pytest.raises(NothingToTrain, match=told) as refused:
        run_training(bench.store, bench.root, bench.request())
    assert "\n" not in str(refused.value)
    run = only_run(bench)
    assert (run.state, run.error) == ("failed", str(refused.value))


def test_wrong_requests_are_refused_before_any_work(bench: Bench) -> None:
    add_squares(bench, train=2, val=1)
    with pytest.raises(NotFound, match="no dataset 'cats'"):
        run_training(bench.store, bench.root, bench.request(dataset="cats"))
    with pytest.raises(ConfigRefused, match="unknown setting 'lr'"):
        run_training(bench.store, bench.root, bench.request(settings=("lr=1",)))
    with pytest.raises(WeightsMissing):
        run_training(bench.store, bench.root, bench.request(source=bench.root / "nothing"))
    for name in ("a/b", "../up", "starter", "auto", ".hidden", "x" * 101):
        with pytest.raises(JobRefused):
            run_training(bench.store, bench.root, bench.request(name=name))
    assert list((bench.root / "checkpoints").glob("*")) == []


def test_a_name_that_is_taken_is_refused_in_one_line(bench: Bench) -> None:
    add_squares(bench, train=2, val=1)
    run_training(bench.store, bench.root, bench.request(name="mine", steps=1))
    with pytest.raises(JobRefused, match="already is a checkpoint or a run for one called 'Mine'"):
        run_training(bench.store, bench.root, bench.request(name="Mine", steps=1))


def test_default_names_count_up_and_fit_a_folder(bench: Bench) -> None:
    add_squares(bench, train=2, val=1, name="blood / cells")
    names = [run_training(bench.store, bench.root, bench.request("blood / cells", 1))["checkpoint"] for _ in range(2)]
    assert names == ["blood-cells-1", "blood-cells-2"]


def test_a_run_that_waits_keeps_its_name_from_others(bench: Bench) -> None:
    dataset_id = add_squares(bench, train=2, val=1)
    with bench.store.writing() as session:
        runs.create_run(session, "train", dataset_id=dataset_id, params={"name": "squares-1"})
    assert run_training(bench.store, bench.root, bench.request(steps=1))["checkpoint"] == "squares-2"


def test_a_row_the_page_made_is_used(bench: Bench) -> None:
    dataset_id = add_squares(bench, train=2, val=1)
    with bench.store.writing() as session:
        waiting = runs.create_run(session, "train", dataset_id=dataset_id, params={"dataset": "squares"}).id
    document = run_training(bench.store, bench.root, bench.request(steps=1), run_id=waiting)
    assert document["run"] == str(waiting)
    assert row(bench, waiting).params == {"dataset": "squares", "name": "squares-1"}


def test_a_stop_file_ends_the_run_with_what_it_has_learnt(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)

    def stop_at_two(line: dict[str, Any]) -> None:
        if line["step"] == 2 and "loss" in line:
            (bench.root / "runs" / str(only_run(bench).id) / "stop").touch()

    document = run_training(bench.store, bench.root, bench.request(steps=50), say=stop_at_two)
    assert (document["state"], document["steps"], document["best_step"]) == ("stopped", 2, 2)
    assert load_grounding_detector(document["folder"], device="cpu")
    assert row(bench, document["run"]).state == "stopped"


def test_a_stopped_run_goes_on_and_publishes_beside_its_first_checkpoint(bench: Bench) -> None:
    test_a_stop_file_ends_the_run_with_what_it_has_learnt(bench)
    run = only_run(bench)
    state = bench.root / "runs" / str(run.id) / "config.json"
    plan = json.loads(state.read_text())
    assert plan["config"]["steps"] == 50

    def stop_at_four(line: dict[str, Any]) -> None:
        if line["step"] == 4 and "loss" in line:
            (bench.root / "runs" / str(run.id) / "stop").touch()

    document = resume_training(bench.store, bench.root, run.id, say=stop_at_four)
    assert document["steps"] == 4
    assert document["checkpoint"] in ("squares-1", "squares-1-2")  # the first where step 2 was the better one
    steps = [line["step"] for line in lines(bench, run.id) if "loss" in line]
    assert steps == [1, 2, 3, 4]


def test_a_run_that_is_stopped_before_its_first_step_registers_nothing(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)

    def stop_at_once(line: dict[str, Any]) -> None:
        (bench.root / "runs" / str(only_run(bench).id) / "stop").touch()

    document = run_training(bench.store, bench.root, bench.request(), say=stop_at_once)
    assert (document["state"], document["checkpoint"], document["metrics"]) == ("stopped", None, None)
    assert not list((bench.root / "checkpoints").glob("*"))


def test_a_failed_run_is_resumed_on_the_labels_it_began_with(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)

    def fail_at_three(line: dict[str, Any]) -> None:
        if line["step"] == 3:
            raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="terminal"):
        run_training(bench.store, bench.root, bench.request(), say=fail_at_three)
    run = only_run(bench)
    assert (run.state, run.error) == ("failed", "OSError: the terminal is gone")
    with bench.store.writing() as session:
        session.execute(delete(Annotation))
    document = resume_training(bench.store, bench.root, run.id)
    assert document["state"] == "done"
    unbroken = make_bench(bench.root.parent / "other")
    add_squares(unbroken, train=4, val=2)
    expected = run_training(unbroken.store, unbroken.root, unbroken.request())
    unbroken.store.close()
    assert_equal_weights(document, expected)
    assert document["metrics"] == expected["metrics"]
    assert document["before"] == expected["before"]


def assert_equal_weights(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (load_file(Path(document["folder"]) / "model.safetensors") for document in (one, other))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_a_run_that_is_done_or_at_work_or_never_began_is_not_resumed(bench: Bench) -> None:
    dataset_id = add_squares(bench, train=2, val=1)
    document = run_training(bench.store, bench.root, bench.request(steps=1))
    with pytest.raises(JobRefused, match="is done"):
        resume_training(bench.store, bench.root, UUID(document["run"]))
    with bench.store.writing() as session:
        working = runs.create_run(session, "train", dataset_id=dataset_id).id
        runs.start_run(session, working, pid=os.getppid())
        waiting = runs.create_run(session, "train", dataset_id=dataset_id).id
    with pytest.raises(JobRefused, match="is at work in process"):
        resume_training(bench.store, bench.root, working)
    with pytest.raises(JobRefused, match="ended before it began to learn"):
        resume_training(bench.store, bench.root, waiting)


def test_images_that_are_gone_are_left_out_and_counted(bench: Bench) -> None:
    add_squares(bench, train=3, val=1)
    (bench.root / "images of squares" / "0.png").unlink()
    document = run_training(bench.store, bench.root, bench.request(steps=1))
    assert "1 images are left out because their files are gone or can't be read." in document["notes"]
    (bench.root / "images of squares" / "3.png").unlink()
    with pytest.raises(JobRefused, match="Every image to measure on is gone"):
        run_training(bench.store, bench.root, bench.request(steps=1))


JOB = """
import json, sys
from pathlib import Path
from uuid import UUID
import torch
torch.set_num_threads(1)
from annotations.database import Store
from tests.training.workspaces import Bench
from training.job import resume_training, run_training

root, resumed = Path(sys.argv[1]), sys.argv[3:]
say = lambda line: print(json.dumps(line), flush=True)
with Store.open(root / "groundwork.db") as store:
    if resumed:
        document = resume_training(store, root, UUID(resumed[0]), say=say)
    else:
        document = run_training(store, root, Bench(store, root, root / "tiny").request(steps=int(sys.argv[2])), say=say)
print(json.dumps(document), flush=True)
"""


def start_job(bench: Bench, steps: int, *resumed: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", JOB, str(bench.root), str(steps), *resumed]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_step(job: subprocess.Popen[str], step: int) -> None:
    assert job.stdout is not None
    for line in job.stdout:
        told = json.loads(line)
        if told.get("step", 0) >= step and "loss" in told:
            return
    raise AssertionError(f"the job ended before step {step}")


def kill_at_step(bench: Bench, step: int, job: subprocess.Popen[str]) -> UUID:
    """End a job as a power cut would; the id of its run, which is failed from then on."""
    wait_for_step(job, step)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    with bench.store.writing() as session:
        (dead,) = runs.mark_dead(session)
        assert (dead.state, dead.error) == ("failed", "the process ended")
        return dead.id


@pytest.mark.slow
def test_a_killed_job_is_seen_as_failed_and_resumes_to_the_same_end(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    expected = run_training(bench.store, bench.root, bench.request(steps=30, name="unbroken"))
    killed = kill_at_step(bench, 3, start_job(bench, 30))
    assert kill_at_step(bench, 11, start_job(bench, 30, str(killed))) == killed
    document = resume_training(bench.store, bench.root, killed)
    assert (document["state"], document["steps"]) == ("done", 30)
    assert_equal_weights(document, expected)
    assert [line["step"] for line in lines(bench, killed) if "loss" in line] == list(range(1, 31))
    assert [path.name for path in (bench.root / "checkpoints").iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_sigterm_saves_and_registers_what_was_learnt(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    job = start_job(bench, 500)
    wait_for_step(job, 3)
    os.kill(job.pid, signal.SIGTERM)
    output, _ = job.communicate(timeout=600)
    document = json.loads(output.splitlines()[-1])
    assert job.returncode == 0
    assert (document["state"], document["checkpoint"]) == ("stopped", "squares-1")
    assert only_run(bench).state == "stopped"


def test_a_checkpoint_published_before_a_kill_is_registered_not_made_twice(bench: Bench) -> None:
    add_squares(bench, train=2, val=1)
    document = run_training(bench.store, bench.root, bench.request(steps=1))
    with bench.store.writing() as session:  # as if the process had died between the two
        session.execute(delete(Checkpoint))
        run = runs.run_by_id(session, UUID(document["run"]))
        run.state, run.result = "failed", None
    again = resume_training(bench.store, bench.root, UUID(document["run"]))
    assert again["folder"] == document["folder"]
    with bench.store.reading() as session:
        assert [checkpoint.name for checkpoint in runs.checkpoints(session)] == ["squares-1"]


def test_a_checkpoint_that_cannot_be_written_is_published_by_resuming(bench: Bench) -> None:
    add_squares(bench, train=2, val=1)
    place = bench.root / "checkpoints"
    place.write_text("a file where the folder should be")
    with pytest.raises(CheckpointNotSaved, match="Free space on the disk, then resume run") as refused:
        run_training(bench.store, bench.root, bench.request(steps=2))
    run = only_run(bench)
    assert (run.state, run.error) == ("failed", str(refused.value))
    place.unlink()
    document = resume_training(bench.store, bench.root, run.id)
    assert (document["state"], document["steps"]) == ("done", 2)
    assert load_grounding_detector(document["folder"], device="cpu")


def test_the_row_beats_while_the_job_works(bench: Bench) -> None:
    from training.signs import heartbeat

    dataset_id = add_squares(bench, train=1)
    with bench.store.writing() as session:
        run_id = runs.create_run(session, "train", dataset_id=dataset_id).id
        runs.start_run(session, run_id)
    first = row(bench, run_id).heartbeat_at
    with heartbeat(bench.store, run_id, period_s=0.01) as stopped:
        deadline = time.monotonic() + 600
        while row(bench, run_id).heartbeat_at == first and time.monotonic() < deadline:
            time.sleep(0.01)
        assert row(bench, run_id).heartbeat_at != first
        with bench.store.writing() as session:
            runs.run_by_id(session, run_id).state = "stopped"
        assert stopped.wait(600)


def test_a_sign_of_life_that_fails_does_not_end_a_run(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    from training.signs import heartbeat

    with heartbeat(bench.store, UUID(int=1), period_s=0.01) as stopped:  # there is no such row
        deadline = time.monotonic() + 600
        while caplog.text.count("No sign of life: There is no run") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert caplog.text.count("No sign of life: There is no run") >= 2  # it went on after the first
    assert not stopped.is_set()
