import threading
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from app.failures import Refused
from app.services.jobs import RECENT, Job, JobNotFound, Jobs, JobState


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs(keep=3)
    yield jobs
    jobs.close()


def wait(jobs: Jobs, job_id: UUID) -> JobState:
    """The state once a job has ended."""
    deadline = time.monotonic() + 600
    while jobs.state(job_id).state in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return jobs.state(job_id)


def test_a_job_reports_its_progress_and_its_result(jobs: Jobs) -> None:
    def work(job: Job) -> dict[str, object]:
        job.progress(1, 2)
        job.image_done(7, 3)
        job.progress(2, 2)
        return {"answer": 42}

    state = wait(jobs, jobs.start(work))
    assert (state.state, state.done, state.total) == ("done", 2, 2)
    assert (state.images, state.detections, state.result) == ((7,), 3, {"answer": 42})


def test_a_job_that_fails_keeps_one_line(jobs: Jobs) -> None:
    def work(job: Job) -> dict[str, object]:
        raise Refused("No weights.")

    state = wait(jobs, jobs.start(work))
    assert (state.state, state.error) == ("failed", "No weights.")


def test_a_stopped_job_ends_after_the_piece_it_is_at(jobs: Jobs) -> None:
    started, go_on = threading.Event(), threading.Event()
    pieces = []

    def work(job: Job) -> dict[str, object]:
        for piece in range(100):
            if job.should_stop:
                break
            pieces.append(piece)
            started.set()
            assert go_on.wait(600)
        return {}

    job_id = jobs.start(work)
    assert started.wait(600)
    jobs.stop(job_id)
    go_on.set()
    assert wait(jobs, job_id).state == "stopped"
    assert pieces == [0]


def test_work_that_only_tells_its_progress_ends_there_when_it_is_stopped(jobs: Jobs) -> None:
    started, go_on = threading.Event(), threading.Event()

    def work(job: Job) -> dict[str, object]:
        started.set()
        assert go_on.wait(600)
        for done in range(1, 4):
            job.progress_or_end(done, 3)
        return {"finished": True}

    job_id = jobs.start(work)
    assert started.wait(600)
    jobs.stop(job_id)
    go_on.set()
    state = wait(jobs, job_id)
    assert (state.state, state.done, state.result) == ("stopped", 1, {})


def test_a_job_stopped_while_it_waits_never_starts(jobs: Jobs) -> None:
    go_on = threading.Event()
    jobs.start(lambda _job: {"waited": go_on.wait(600)})
    ran = []
    job_id = jobs.start(lambda _job: ran.append(1) or {})  # type: ignore[func-returns-value]
    jobs.stop(job_id)
    go_on.set()
    assert wait(jobs, job_id).state == "stopped"
    assert ran == []


def test_only_the_last_images_are_listed_so_that_an_answer_stays_small(jobs: Jobs) -> None:
    def work(job: Job) -> dict[str, object]:
        for image_id in range(RECENT + 50):
            job.image_done(image_id, 1)
        return {}

    state = wait(jobs, jobs.start(work))
    assert state.images == tuple(range(50, RECENT + 50))
    assert state.detections == RECENT + 50


def test_an_unknown_job_says_why_it_may_be_unknown(jobs: Jobs) -> None:
    with pytest.raises(JobNotFound, match="before the last restart"):
        jobs.state(uuid4())


def test_a_short_job_does_not_wait_for_a_long_one(jobs: Jobs) -> None:
    go_on = threading.Event()
    long = jobs.start(lambda _job: {"waited": go_on.wait(600)})
    try:
        assert wait(jobs, jobs.start(lambda _job: {"short": True}, is_short=True)).result == {"short": True}
        assert jobs.state(long).state in ("queued", "running")
    finally:
        go_on.set()
    assert wait(jobs, long).result == {"waited": True}
