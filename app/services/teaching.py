"""Training runs as the page sees them: started in their own process, watched, stopped, resumed."""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from annotations import queries, runs
from annotations.database import Store
from annotations.models import Run
from app.failures import Refused
from app.services.workspace import Workspace
from training.preflight import quick_check

LAUNCH = Path(__file__).resolve().parents[2] / "launch.py"
PROGRESS = "progress.jsonl"
STOP = "stop"
OUTPUT = "output.log"
MOST_POINTS = 400
"""A curve has no more points than a screen can show; the file keeps them all."""


@dataclass(frozen=True)
class RunView:
    """A training run as a list shows it."""

    id: UUID
    name: str | None  # of the checkpoint it makes or made
    state: str
    error: str | None
    started_at: datetime | None
    finished_at: datetime | None
    result: dict[str, Any]
    resumable: bool


@dataclass(frozen=True)
class TrainingProgress:
    """The curves of a run and how far it is."""

    state: str
    error: str | None
    step: int
    steps: int
    eta_seconds: float | None
    points: Sequence[dict[str, Any]]  # step, loss, learning_rate
    evaluations: Sequence[dict[str, Any]]  # step, AP, AP50
    notes: Sequence[str]
    result: dict[str, Any]


class Teacher:
    """Starts training runs and tells what became of them; a run outlives the page that started it."""

    def __init__(self, store: Store, workspace: Workspace, database: str | Path) -> None:
        self._store = store
        self._workspace = workspace
        self._database = database
        self._processes: dict[UUID, subprocess.Popen[bytes]] = {}
        self._starting = threading.Lock()  # a double click asks twice at once

    def check_ready(self, dataset_id: int) -> list[str]:
        """What still keeps a dataset from being taught, in words; empty when nothing does."""
        with self._store.reading() as session:
            summary = queries.dataset_by_id(session, dataset_id)
            report = quick_check(session, summary.name)
        if not summary.images:
            return ["The dataset has no images yet: add a folder of images in Data."]
        if any(problem.kind == "nothing_to_learn" for problem in report.errors) and not summary.annotations:
            waiting = f"; {summary.pending} predictions wait to be accepted" if summary.pending else ""
            return [f"Nothing is annotated yet{waiting}: accept or draw some boxes in Label."]
        if self._active(dataset_id):
            return ["A training run of this dataset is at work: wait for it or stop it."]
        return [problem.line for problem in report.errors]

    def warnings(self, dataset_id: int) -> list[str]:
        """What a person should know before the dataset is taught, as far as its labels show it."""
        with self._store.reading() as session:
            summary = queries.dataset_by_id(session, dataset_id)
            return [problem.line for problem in quick_check(session, summary.name).warnings]

    def start(
        self,
        dataset: str,
        *,
        steps: int | None = None,
        mode: str = "vocabulary",
        name: str | None = None,
        detector: str | None = None,
    ) -> UUID:
        """Start a run in a process of its own and answer its id.

        Raises:
            Refused: the dataset is not ready, or the process can't be started.
        """
        with self._store.reading() as session:
            dataset_id = queries.dataset_by_name(session, dataset).id
        run_id = uuid4()
        chosen = {"steps": steps, "mode": mode, "name": name, "detector": detector}
        folder = self._folder(run_id)
        with self._starting:
            if reasons := self.check_ready(dataset_id):
                raise Refused(reasons[0])
            folder.mkdir(parents=True)
            with self._store.writing() as session:
                params = {"dataset": dataset, **chosen}
                runs.create_run(session, "train", dataset_id=dataset_id, params=params, folder=folder, run_id=run_id)
        self._launch(run_id, {"dataset": dataset, "run": run_id, **chosen})
        return run_id

    def resume(self, run_id: UUID) -> None:
        """Go on with a run that was stopped or whose process ended, from its last saved state.

        Raises:
            EditRefused: it is at work, or ended as it should.
            Refused: the process can't be started.
        """
        with self._store.writing() as session:
            run = runs.queue_again(session, run_id)
            dataset = queries.dataset_by_id(session, run.dataset_id or 0).name
        (self._folder(run_id) / STOP).unlink(missing_ok=True)
        self._launch(run_id, {"dataset": dataset, "resume": run_id})

    def stop(self, run_id: UUID) -> None:
        """Ask a run to end after the step it is at; it keeps and registers the best it has."""
        if self._view(run_id).state in ("queued", "running"):
            self._folder(run_id).mkdir(parents=True, exist_ok=True)  # one started in a terminal makes it a little later
            (self._folder(run_id) / STOP).touch()

    def runs(self, dataset_id: int | None = None) -> list[RunView]:
        """The training runs, newest first; those whose process is gone are failed from now on."""
        self._notice_the_dead()
        with self._store.reading() as session:
            return [_view(row) for row in runs.runs(session, dataset_id, "train")]

    def progress(self, run_id: UUID) -> TrainingProgress:
        """How far a run is and its curves so far."""
        self._notice_the_dead()
        view = self._view(run_id)
        lines = _read_lines(self._folder(run_id) / PROGRESS)
        points = [line for line in lines if "loss" in line]
        last: dict[str, Any] = next((line for line in reversed(lines) if "step" in line), {})
        eta = points[-1].get("eta_seconds") if points and view.state == "running" else None
        return TrainingProgress(
            state=view.state,
            error=view.error,
            step=last.get("step", 0),
            steps=last.get("steps", 0),
            eta_seconds=eta,
            points=_thinned(points),
            evaluations=[line for line in lines if line.get("event") == "evaluation"],
            notes=[line["note"] for line in lines if "note" in line],
            result=view.result,
        )

    def _active(self, dataset_id: int) -> bool:
        return any(view.state in ("queued", "running") for view in self.runs(dataset_id))

    def _view(self, run_id: UUID) -> RunView:
        with self._store.reading() as session:
            return _view(runs.run_by_id(session, run_id))

    def _folder(self, run_id: UUID) -> Path:
        return self._workspace.runs / str(run_id)

    def _launch(self, run_id: UUID, flags: Mapping[str, object]) -> None:
        """Start the process of a run that waits in the queue."""
        command = [sys.executable, str(LAUNCH), "train", f"--workspace={self._workspace.root}", "--json"]
        if isinstance(self._database, str):
            command.append(f"--database={self._database}")
        # A name may begin with '-': only behind '=' is it sure to be read as a value.
        command += [f"--{name}={value}" for name, value in flags.items() if value is not None]
        try:
            with (self._folder(run_id) / OUTPUT).open("ab") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, "GROUNDWORK_NO_VENV": "1"},
                    start_new_session=True,  # Ctrl+C in the page's terminal must not reach it
                )
        except OSError as error:
            reason = (
                f"The training process can't be started: {error.strerror}. Free memory or disk space, then try again."
            )
            with self._store.writing() as session:
                runs.finish_run(session, run_id, "failed", error=reason)
            raise Refused(reason) from error
        self._processes[run_id] = process
        with self._store.writing() as session:
            if runs.run_by_id(session, run_id).state == "queued":  # else it was faster and has written it itself
                runs.start_run(session, run_id, process.pid)

    def _notice_the_dead(self) -> None:
        for process in list(self._processes.values()):
            process.poll()  # collects an ended child, which would look alive otherwise
        with self._store.reading() as session:
            if not runs.dead_runs(session):
                return  # a page asks every second: it must not wait for whoever is writing
        with self._store.writing() as session:
            for row in runs.mark_dead(session):
                row.error = _last_words(self._folder(row.id) / OUTPUT) or row.error


def _view(row: Run) -> RunView:
    result = dict(row.result or {})
    return RunView(
        id=row.id,
        name=result.get("checkpoint") or row.params.get("name"),
        state=row.state,
        error=row.error,
        started_at=row.started_at,
        finished_at=row.finished_at,
        result=result,
        resumable=row.state in ("stopped", "failed"),
    )


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file that is being written: a last line without its end is left for the next time."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line]


def _thinned(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    stride = max(1, -(-len(points) // MOST_POINTS))
    return [point for index, point in enumerate(points) if index % stride == 0 or index == len(points) - 1]


def _last_words(path: Path) -> str | None:
    """The last line a process wrote that is no progress line."""
    if not path.exists():
        return None
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = deque((line.strip() for line in file if line.strip() and not line.startswith("{")), maxlen=1)
    return f"The process ended: {lines[0]}" if lines else None
