"""Evaluations by a detector that knows the test's own squares: measured, kept, told in a report."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from annotations import queries, runs
from annotations.categories import ensure_categories
from annotations.database import Store
from annotations.datasets import create_dataset
from annotations.errors import NotFound
from annotations.models import Image
from annotations.queries import labelled_images
from app.services.evaluating import Evaluator, evaluate_dataset, keep, labelled_counts, measure
from app.services.evaluation_report import publish_report, report_html
from app.services.jobs import Job, Jobs
from app.services.models import Models
from common.images import ImageRefused
from tests.training.metrics.test_evaluate import SquareFinder
from tests.training.workspaces import Bench, add_squares
from training.metrics.suggested import LEAST_LABELS

TRAIN, VAL = 9, 5


class Found(Models):
    """Models of which the one at work is the finder of squares."""

    def detector(self, name: str | None = None, is_wanted: object = None) -> Any:
        return SquareFinder()

    def current(self) -> str:
        return SquareFinder.name


@dataclass
class World:
    """A store with a dataset "squares": images of train and val with a square each, none of test."""

    store: Store
    models: Found
    dataset_id: int
    root: Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = Store.open(tmp_path / "groundwork.db")
    dataset_id = add_squares(Bench(store, tmp_path, tmp_path), train=18, val=9)
    with store.writing() as session:
        for image in labelled_images(session, dataset_id):
            if len(image.boxes_xyxy) != 1:  # squares may hide each other: the finder would be wrong
                session.delete(session.get_one(Image, image.id))
    with store.reading() as session:
        assert labelled_counts(session, dataset_id) == {"train": TRAIN, "val": VAL}
    yield World(store, Found(store), dataset_id, tmp_path)
    store.close()


def finish(jobs: Jobs, job_id: UUID) -> str | None:
    while jobs.state(job_id).state in ("queued", "running"):
        time.sleep(0.01)
    jobs.close()
    return jobs.state(job_id).error


@contextmanager
def held(jobs: Jobs) -> Iterator[None]:
    """The only worker is busy within the block."""
    free = threading.Event()

    def wait(job: Job) -> dict[str, object]:
        free.wait(600)
        return {}

    jobs.start(wait)
    try:
        yield
    finally:
        free.set()


def test_the_document_has_the_keys_that_scripts_rely_on(world: World) -> None:
    document = evaluate_dataset(world.store, world.models, "squares", "val").as_json()
    assert set(document) == {
        "detector", "dataset", "split", "images", "metrics", "per_category", "task",
        "confusion", "curves", "suggested_thresholds",
    }  # fmt: skip
    assert (document["detector"], document["dataset"], document["split"]) == ("square finder", "squares", "val")
    json.dumps(document, allow_nan=False)


def test_an_image_that_cant_be_read_is_left_out_and_counted(world: World) -> None:
    with world.store.reading() as session:
        path = Path(labelled_images(session, world.dataset_id, "val")[0].path)
    path.write_bytes(b"no picture")
    measured = measure(world.store, world.models, "squares", "val")
    document = measured.document
    assert (document.images, document.metrics["AP"], len(measured.images)) == (VAL - 1, 1, VAL - 1)
    assert (
        document.skipped is not None and document.skipped["count"] == 1 and path.name in document.skipped["reasons"][0]
    )
    publish_report(measured, world.root / "report")
    assert "1 left out" in (world.root / "report" / "report.html").read_text()


def test_images_that_can_all_not_be_read_are_one_line(world: World) -> None:
    with world.store.reading() as session:
        for image in labelled_images(session, world.dataset_id, "val"):
            Path(image.path).unlink()
    with pytest.raises(ImageRefused, match=f"None of the {VAL} images can be read"):
        measure(world.store, world.models, "squares", "val")


def test_a_detector_that_finds_everything_has_a_diagonal_and_a_threshold_where_labels_are_enough(world: World) -> None:
    measured = measure(world.store, world.models, "squares", None)
    document = measured.document
    labels = {name: row["annotations"] for name, row in document.per_category.items()}
    assert document.metrics["AP"] == 1
    assert document.confusion is not None and document.curves is not None
    matrix = np.array(document.confusion["matrix"])
    assert matrix.tolist() == np.diag([*labels.values(), 0]).tolist()
    assert document.curves["all"]["labels"] == sum(row or 0 for row in labels.values()) >= LEAST_LABELS
    assert document.curves["per_category"]["red car"]["precision"] == [1]
    assert document.suggested_thresholds is not None
    assert {row["threshold"] for row in document.suggested_thresholds.values()} == {0.5}  # of scores that are all 1


def test_doubles_count_in_the_metrics_and_not_in_what_the_page_would_show(world: World) -> None:
    class Stutterer(SquareFinder):
        def detect(self, *args, **more):  # type: ignore[no-untyped-def]
            return [type(found).merge([found, found]) for found in super().detect(*args, **more)]

    class Stuttering(Found):
        def detector(self, name: str | None = None, is_wanted: object = None) -> Any:
            return Stutterer()

    document = evaluate_dataset(world.store, Stuttering(world.store), "squares", None)
    assert document.confusion is not None
    assert sum(document.confusion["matrix"][-1]) == 0


def test_progress_is_told_image_by_image_and_can_end_the_work(world: World) -> None:
    told: list[tuple[int, int]] = []
    evaluate_dataset(world.store, world.models, "squares", "val", progress=lambda *step: told.append(step))
    assert told == [(done, VAL) for done in range(1, VAL + 1)]


@pytest.mark.parametrize(("split", "said"), [("test", r"'test' split of 'squares' \(.*5 in val.*\)")])
def test_an_empty_split_is_one_line_that_says_where_there_are_labels(world: World, split: str, said: str) -> None:
    evaluator = Evaluator(world.store, world.models, Jobs())
    for ask in (
        lambda: evaluate_dataset(world.store, world.models, "squares", split),
        lambda: evaluator.start(world.dataset_id, split),
    ):
        with pytest.raises(NotFound, match=said) as refused:
            ask()
        assert "\n" not in str(refused.value)


def test_a_dataset_without_labels_says_so(world: World) -> None:
    with world.store.writing() as session:
        dataset_id = create_dataset(session, "bare").id
        ensure_categories(session, dataset_id, [("cat", ())])
    with pytest.raises(NotFound, match="no annotated images in dataset 'bare'"):
        evaluate_dataset(world.store, world.models, "bare", None)


def test_the_newest_evaluation_of_a_detector_on_a_split_is_kept(world: World) -> None:
    jobs = Jobs()
    evaluator = Evaluator(world.store, world.models, jobs)
    keep(world.store, evaluate_dataset(world.store, world.models, "squares", "val"))
    keep(world.store, evaluate_dataset(world.store, world.models, "squares", None))
    job_id = evaluator.start(world.dataset_id, "val")
    assert finish(jobs, job_id) is None
    views = evaluator.kept(world.dataset_id)
    assert [view.document["split"] for view in views] == ["val", None]
    assert jobs.state(job_id).result == {"evaluation": str(views[0].id)}
    assert evaluator.running(world.dataset_id) is None
    assert evaluator.labelled(world.dataset_id) == {"train": TRAIN, "val": VAL}


def test_a_second_click_joins_the_evaluation_at_work(world: World) -> None:
    jobs = Jobs()
    evaluator = Evaluator(world.store, world.models, jobs)

    with held(jobs):
        first = evaluator.start(world.dataset_id, "val")
        assert evaluator.start(world.dataset_id, "train") == first == evaluator.running(world.dataset_id)
    jobs.close()


def test_a_stopped_evaluation_leaves_nothing_behind(world: World) -> None:
    jobs = Jobs()
    evaluator = Evaluator(world.store, world.models, jobs)
    with held(jobs):
        jobs.stop(evaluator.start(world.dataset_id, "val"))
    jobs.close()
    assert evaluator.kept(world.dataset_id) == []


def test_a_checkpoint_taught_here_is_told_from_one_that_never_saw_these_images(world: World) -> None:
    with world.store.writing() as session:
        runs.register_checkpoint(session, SquareFinder.name, "/nowhere", "starter", dataset_id=world.dataset_id)
    for split in (None, "val"):
        keep(world.store, evaluate_dataset(world.store, world.models, "squares", split))
    views = Evaluator(world.store, world.models, Jobs()).kept(world.dataset_id)
    assert {view.document["split"]: view.learnt_from for view in views} == {None: True, "val": False}


HOSTILE = "<img src=x onerror=alert(1)>"


def test_a_report_is_a_folder_that_needs_nothing_beside_it(world: World) -> None:
    class Misnaming(SquareFinder):
        def _find(self, image):  # type: ignore[no-untyped-def]
            found = super()._find(image)
            found.class_id = 1 - np.asarray(found.class_id)
            return found

    class Wrong(Found):
        def detector(self, name: str | None = None, is_wanted: object = None) -> Any:
            return Misnaming()

    rename(world.store, world.dataset_id, HOSTILE)
    measured = measure(world.store, Wrong(world.store), "squares", "val", threshold=0.5)
    publish_report(measured, world.root / "report")
    facts = json.loads((world.root / "report" / "report.json").read_text(encoding="utf-8"))
    page = (world.root / "report" / "report.html").read_text(encoding="utf-8")
    assert facts == json.loads(json.dumps(measured.document.as_json()))
    assert sorted(path.name for path in (world.root / "report").iterdir()) == ["report.html", "report.json"]
    assert HOSTILE not in page and "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "mislabelled" in page and 'class="box mislabelled"' in page and "data:image/jpeg;base64," in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    with pytest.raises(FileExistsError):
        publish_report(measured, world.root / "report")


def test_a_report_of_another_task_has_its_numbers_and_no_empty_parts(world: World) -> None:
    document = {
        "detector": "d", "dataset": "s", "split": None, "images": 3, "task": "refer",
        "metrics": {"P@1": 0.5, "N-acc": None}, "per_category": {},
    }  # fmt: skip
    page = report_html(document)
    assert "P@1" in page and "0.500" in page
    assert "taken for what" not in page


def rename(store: Store, dataset_id: int, name: str) -> None:
    with store.writing() as session:
        queries.categories(session, dataset_id)[0].name = name


def test_the_document_of_an_evaluation_is_described(world: World) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    document = evaluate_dataset(world.store, world.models, "squares", "val")
    assert document.confusion is not None and document.curves is not None and document.suggested_thresholds is not None
    keys = [*document.as_json(), *document.metrics, *document.confusion, *document.curves["all"]]
    keys += next(iter(document.per_category.values()))
    keys += ["threshold", "basis", "precision", "recall", "f1"]
    assert [key for key in keys if f"`{key}`" not in text] == []
    assert f"fewer than {LEAST_LABELS} labels" in text
