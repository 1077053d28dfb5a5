"""Training runs in real processes, killed and taken up again."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from annotations import queries, runs
from annotations.edits import Edit, apply_edit
from annotations.errors import EditRefused
from annotations.models import Dataset
from annotations.queries import images_page
from app.failures import Refused
from app.services import Services
from app.services.ontologies import adopt
from engine.ontology import Ontology

pytestmark = pytest.mark.slow


@pytest.fixture
def labelled(services: Services, dataset_id: int) -> int:
    """The dataset with a box on each of its whole images."""
    with services.store.writing() as session:
        ontology = adopt(session, queries.dataset_by_id(session, dataset_id), Ontology.from_prompt("cat."))
        for row in images_page(session, dataset_id).items[:3]:
            item = {"id": str(uuid4()), "category_id": ontology.category_ids[0], "xyxy": [20, 20, 80, 70]}
            apply_edit(session, Edit(uuid4(), "create", row.id, "ada", (item,)))
    return dataset_id


def wait_until(condition: Callable[[], bool], timeout_s: float = 600) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)


def pid_of(services: Services, run_id: UUID) -> int:
    with services.store.reading() as session:
        pid = runs.run_by_id(session, run_id).pid
    assert pid is not None
    return pid


def test_nothing_to_learn_from_is_said_before_a_process_is_started(services: Services, dataset_id: int) -> None:
    assert "Nothing is annotated yet" in services.teacher.check_ready(dataset_id)[0]
    with pytest.raises(Refused, match="Nothing is annotated yet"):
        services.teacher.start("photos")


def test_a_run_teaches_registers_and_tells_its_curves(services: Services, labelled: int, tiny_detector: Path) -> None:
    run_id = services.teacher.start("photos", steps=2, name="mine", detector=str(tiny_detector))
    assert "at work" in services.teacher.check_ready(labelled)[0]
    wait_until(lambda: services.teacher.progress(run_id).state not in ("queued", "running"))
    progress = services.teacher.progress(run_id)
    assert (progress.state, progress.error) == ("done", None)
    assert progress.step == progress.steps == 2
    assert progress.evaluations[0]["step"] == 0
    assert "mine" in [view.name for view in services.models.list()]


def test_a_double_click_starts_one_run_also_where_the_name_looks_like_a_flag(
    services: Services, labelled: int, tiny_detector: Path
) -> None:
    with services.store.writing() as session:
        session.get_one(Dataset, labelled).name = "--photos"

    def start(_click: int) -> UUID | Refused:
        try:
            return services.teacher.start("--photos", steps=1, detector=str(tiny_detector))
        except Refused as refused:
            return refused

    with ThreadPoolExecutor(2) as pool:
        run_id, refused = sorted(pool.map(start, range(2)), key=lambda outcome: isinstance(outcome, Refused))
    assert isinstance(run_id, UUID)
    assert "at work" in str(refused)
    wait_until(lambda: services.teacher.progress(run_id).state not in ("queued", "running"))
    assert services.teacher.progress(run_id).error is None


def test_a_run_that_is_done_is_not_taken_up_again(services: Services, labelled: int) -> None:
    with services.store.writing() as session:
        run_id = runs.create_run(session, "train", dataset_id=labelled).id
        runs.finish_run(session, run_id, "done")
    with pytest.raises(EditRefused, match="This run is done"):
        services.teacher.resume(run_id)


def test_a_killed_run_is_shown_as_failed_and_can_be_resumed(
    services: Services, labelled: int, tiny_detector: Path
) -> None:
    run_id = services.teacher.start("photos", steps=3000, name="long", detector=str(tiny_detector))
    wait_until(lambda: services.teacher.progress(run_id).step >= 5)
    os.kill(pid_of(services, run_id), signal.SIGKILL)
    wait_until(lambda: services.teacher.progress(run_id).state == "failed")
    (view,) = services.teacher.runs(labelled)
    assert view.resumable
    services.teacher.resume(run_id)
    wait_until(lambda: services.teacher.progress(run_id).state == "running")
    services.teacher.stop(run_id)
    wait_until(lambda: services.teacher.progress(run_id).state == "stopped")
    assert services.teacher.progress(run_id).error is None


def test_a_run_that_cannot_start_tells_its_reason(services: Services, labelled: int, tmp_path: Path) -> None:
    run_id = services.teacher.start("photos", steps=2, detector=str(tmp_path / "nowhere"))
    wait_until(lambda: services.teacher.progress(run_id).state == "failed")
    error = services.teacher.progress(run_id).error
    assert error is not None
    assert "nowhere" in error
    assert "\n" not in error
