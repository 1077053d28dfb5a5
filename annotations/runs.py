"""Runs of jobs, the checkpoints they made, and which one is in use."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotations.errors import EditRefused, NotFound
from annotations.models import Checkpoint, Promotion, Run, RunKind, RunState, utc_now
from annotations.names import checked_name

FINAL_STATES: tuple[RunState, ...] = ("done", "failed", "stopped")
STARTER = "starter"
"""The name of the detector that ships with the program: no row, always there."""


def create_run(
    session: Session,
    kind: RunKind,
    *,
    dataset_id: int | None = None,
    params: dict[str, Any] | None = None,
    folder: str | Path | None = None,
    run_id: UUID | None = None,
) -> Run:
    """A new run in the queue; until its own process begins, its `pid` is that of the process that announced it."""
    run = Run(
        id=run_id or uuid4(),
        kind=kind,
        dataset_id=dataset_id,
        state="queued",
        pid=os.getpid(),
        params=params or {},
        folder=str(folder) if folder is not None else None,
    )
    session.add(run)
    session.flush()
    return run


def start_run(session: Session, run_id: UUID, pid: int | None = None) -> Run:
    """The run has begun in process `pid` (None: this one); a run taken up again begins anew.

    Raises:
        NotFound: no such run.
    """
    run = run_by_id(session, run_id)
    run.state, run.pid = "running", pid or os.getpid()
    run.error = run.finished_at = None
    run.started_at = run.heartbeat_at = utc_now()
    session.flush()
    return run


def queue_again(session: Session, run_id: UUID) -> Run:
    """A run that failed or was stopped waits for a new process; of two who ask at once only one is told so.

    Raises:
        NotFound: no such run.
        EditRefused: it waits already, is at work, or is done.
    """
    run = run_by_id(session, run_id)
    if run.state not in ("failed", "stopped"):
        raise EditRefused(f"This run is {run.state}: only a stopped or failed one can be resumed.")
    run.state, run.pid = "queued", os.getpid()
    run.error = run.finished_at = None
    session.flush()
    return run


def heartbeat(session: Session, run_id: UUID, result: dict[str, Any] | None = None) -> RunState:
    """Say that the run is alive (a queued one begins), and what it has so far; its state ('stopped': end it)."""
    run = run_by_id(session, run_id)
    if run.state == "queued":
        start_run(session, run_id)
    run.heartbeat_at = utc_now()
    if result is not None:
        run.result = result
    session.flush()
    return run.state


def finish_run(
    session: Session,
    run_id: UUID,
    state: RunState = "done",
    *,
    result: dict[str, Any] | None = None,
    error: str | None = None,
) -> Run:
    """The run has ended; `error` is kept as one line.

    Raises:
        NotFound: no such run.
        EditRefused: a state that is not an end.
    """
    if state not in FINAL_STATES:
        raise EditRefused(f"{state!r} is not the end of a run. Use one of {', '.join(FINAL_STATES)}.")
    run = run_by_id(session, run_id)
    run.state, run.finished_at, run.pid = state, utc_now(), None
    run.error = " ".join(error.split()) if error else None
    if result is not None:
        run.result = result
    session.flush()
    return run


def run_by_id(session: Session, run_id: UUID) -> Run:
    """The run, or NotFound."""
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run


def runs(session: Session, dataset_id: int | None = None, kind: RunKind | None = None) -> list[Run]:
    """Runs, newest first; of one dataset or kind when given."""
    query = select(Run)
    if dataset_id is not None:
        query = query.where(Run.dataset_id == dataset_id)
    if kind is not None:
        query = query.where(Run.kind == kind)
    found = session.scalars(query).all()
    return sorted(found, key=lambda run: (run.started_at is None, run.started_at or utc_now()), reverse=True)


def dead_runs(session: Session) -> list[Run]:
    """Runs at work, or waiting, whose process has gone without a word."""
    going = session.scalars(select(Run).where(Run.state.in_(["queued", "running"])))
    boot = booted_at()
    return [run for run in going if run.pid is None or not is_alive(run.pid) or _last_seen_before(run, boot)]


def mark_dead(session: Session) -> list[Run]:
    """Runs whose process has gone without a word are failed; those found."""
    dead = dead_runs(session)
    for run in dead:
        run.state, run.error, run.finished_at, run.pid = "failed", "the process ended", utc_now(), None
    session.flush()
    return dead


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs; one that ended but was not collected by its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text(errors="replace").rpartition(")")[2].split()[:1] == ["Z"])


def booted_at() -> datetime | None:
    """When this machine started, since when process ids count anew; None where it does not say (not Linux)."""
    stat = Path("/proc/stat")
    lines = stat.read_text().splitlines() if stat.exists() else []
    seconds = next((int(line.split()[1]) for line in lines if line.startswith("btime ")), None)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _last_seen_before(run: Run, boot: datetime | None) -> bool:
    return boot is not None and run.heartbeat_at is not None and run.heartbeat_at < boot


def register_checkpoint(
    session: Session,
    name: str,
    folder: str | Path,
    base: str,
    *,
    run_id: UUID | None = None,
    dataset_id: int | None = None,
    metrics: dict[str, Any] | None = None,
) -> Checkpoint:
    """Make a finished checkpoint known.

    Raises:
        EditRefused: the name is taken, reserved or cannot be kept.
    """
    try:
        name = checked_name(name, "checkpoint name")
    except ValueError as error:
        raise EditRefused(str(error)) from error
    if name == STARTER or _find_checkpoint(session, name) is not None:
        raise EditRefused(f"There already is a checkpoint {name!r}. Choose another name.")
    checkpoint = Checkpoint(
        name=name, folder=str(folder), base=base, run_id=run_id, dataset_id=dataset_id, metrics=metrics or {}
    )
    session.add(checkpoint)
    session.flush()
    return checkpoint


def checkpoints(session: Session) -> list[Checkpoint]:
    """All checkpoints, newest first."""
    return list(session.scalars(select(Checkpoint).order_by(Checkpoint.id.desc())))


def checkpoint_by_name(session: Session, name: str) -> Checkpoint:
    """The checkpoint, or NotFound with the names that there are."""
    checkpoint = _find_checkpoint(session, name)
    if checkpoint is None:
        known = ", ".join(repr(known) for known in [STARTER, *(row.name for row in checkpoints(session)[:5])])
        raise NotFound(f"There is no checkpoint {name!r}. There are: {known}.")
    return checkpoint


def promote(session: Session, name: str | None) -> Checkpoint | None:
    """Put a checkpoint to use; None or 'starter' is the detector that ships with the program."""
    checkpoint = None if name in (None, STARTER) else checkpoint_by_name(session, str(name))
    session.add(Promotion(checkpoint_id=checkpoint.id if checkpoint else None))
    session.flush()
    return checkpoint


def promoted(session: Session) -> Checkpoint | None:
    """The checkpoint in use; None: the starter."""
    newest = session.scalar(select(Promotion).order_by(Promotion.id.desc()).limit(1))
    if newest is None or newest.checkpoint_id is None:
        return None
    return session.get(Checkpoint, newest.checkpoint_id)


def is_chosen(session: Session) -> bool:
    """Whether what is in use was promoted by somebody, the starter included."""
    return session.scalar(select(Promotion.id).limit(1)) is not None


def rollback(session: Session) -> Checkpoint | None:
    """Take back the newest promotion; what is in use now.

    Raises:
        EditRefused: nothing was promoted.
    """
    newest = session.scalar(select(Promotion).order_by(Promotion.id.desc()).limit(1))
    if newest is None:
        raise EditRefused("Nothing was promoted, so there is nothing to roll back.")
    session.delete(newest)
    session.flush()
    return promoted(session)


def _find_checkpoint(session: Session, name: str) -> Checkpoint | None:
    return session.scalar(select(Checkpoint).where(Checkpoint.name == name))
