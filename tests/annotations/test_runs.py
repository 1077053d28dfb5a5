"""Runs end in a state that says why; the newest promotion counts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from annotations.database import Store
from annotations.errors import EditRefused, NotFound
from annotations.runs import (
    booted_at,
    checkpoint_by_name,
    checkpoints,
    create_run,
    finish_run,
    heartbeat,
    is_alive,
    mark_dead,
    promote,
    promoted,
    queue_again,
    register_checkpoint,
    rollback,
    run_by_id,
    runs,
    start_run,
)
from tests.annotations.makers import make_scene, number


@pytest.fixture
def session(store: Store) -> Iterator[Session]:
    with store.writing() as session:
        yield session


def test_a_run_goes_from_the_queue_to_its_end(session: Session) -> None:
    run = create_run(session, "train", params={"steps": 5})
    assert (run.state, run.params) == ("queued", {"steps": 5})
    assert heartbeat(session, run.id, {"step": 1}) == "running"
    assert (run.pid, run.result) == (os.getpid(), {"step": 1})
    finish_run(session, run.id, "failed", error="went wrong\nat step 2")
    assert (run.state, run.error, run.pid) == ("failed", "went wrong at step 2", None)
    start_run(session, run.id)
    assert (run.state, run.error, run.finished_at) == ("running", None, None)


def test_a_run_cannot_end_in_the_middle(session: Session) -> None:
    run = create_run(session, "label")
    with pytest.raises(EditRefused, match="not the end"):
        finish_run(session, run.id, "running")
    with pytest.raises(NotFound):
        run_by_id(session, number(9))


def test_a_run_whose_process_ended_is_failed_and_others_are_left(session: Session) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead, alive, queued = (create_run(session, "train") for _ in range(3))
    start_run(session, dead.id, pid=process.pid)
    start_run(session, alive.id)
    assert mark_dead(session) == [dead]
    assert (dead.state, dead.error) == ("failed", "the process ended")
    assert (alive.state, queued.state) == ("running", "queued")


def test_a_run_from_before_the_machine_started_is_dead_though_another_process_has_its_id(session: Session) -> None:
    boot = booted_at()
    if boot is None:
        pytest.skip("this machine does not say when it started")
    run = create_run(session, "train")
    start_run(session, run.id)  # the id of this very process, which is alive
    run.heartbeat_at = boot - timedelta(seconds=1)
    assert mark_dead(session) == [run]


def test_a_run_that_waits_is_failed_with_the_process_that_announced_it(session: Session) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    waiting, orphan = create_run(session, "train"), create_run(session, "train")
    orphan.pid = process.pid
    assert mark_dead(session) == [orphan]
    assert (orphan.state, waiting.state) == ("failed", "queued")


def test_only_one_of_two_who_take_up_a_run_at_once_is_let(session: Session) -> None:
    run = create_run(session, "train")
    finish_run(session, run.id, "failed", error="the process ended")
    assert (queue_again(session, run.id).state, run.error) == ("queued", None)
    with pytest.raises(EditRefused, match="This run is queued"):
        queue_again(session, run.id)


def test_a_process_that_ended_but_was_not_collected_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()  # until the process closes it by ending
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(process.pid)
    process.wait()
    process.stdout.close()


def test_runs_are_listed_by_dataset_and_kind(store: Store) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        first = create_run(session, "train", dataset_id=scene.dataset_id)
        second = create_run(session, "label", dataset_id=scene.dataset_id)
        create_run(session, "train")
        start_run(session, first.id)
        start_run(session, second.id)
        assert runs(session, scene.dataset_id) == [second, first]
        assert runs(session, scene.dataset_id, "train") == [first]
        assert len(runs(session)) == 3


def test_the_newest_promotion_counts_and_can_be_taken_back(session: Session) -> None:
    assert promoted(session) is None
    one = register_checkpoint(session, "cells-1", "/w/1", "starter", metrics={"AP50": 0.5})
    two = register_checkpoint(session, "cells-2", "/w/2", "cells-1")
    assert checkpoints(session) == [two, one]
    promote(session, "cells-1")
    promote(session, "cells-2")
    assert promoted(session) is two
    assert rollback(session) is one
    assert rollback(session) is None
    with pytest.raises(EditRefused, match="nothing to roll back"):
        rollback(session)
    promote(session, "cells-1")
    assert promote(session, "starter") is None
    assert promoted(session) is None


def test_checkpoints_have_their_own_names(session: Session) -> None:
    register_checkpoint(session, "cells-1", "/w/1", "starter")
    for name in ("cells-1", "starter", "", "a\nb"):
        with pytest.raises(EditRefused):
            register_checkpoint(session, name, "/w/2", "starter")
    with pytest.raises(NotFound, match="There are: 'starter', 'cells-1'"):
        checkpoint_by_name(session, "cells-9")
