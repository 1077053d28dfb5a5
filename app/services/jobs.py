"""Work of the page that takes longer than a request, watched and stopped by id."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID, uuid4

from app.failures import explain

State = Literal["queued", "running", "done", "failed", "stopped"]

RECENT = 200
"""A page that asks every second or so misses nothing of what was finished in between."""


_SHORT_AT_ONCE = 8
"""Short jobs take turns on the device, and equal questions share one."""


class JobNotFound(LookupError):
    """No job has this id."""


class Stopped(Exception):
    """Ends the work of a job that was asked to stop."""


@dataclass(frozen=True)
class JobState:
    """What a page shows of a job."""

    id: UUID
    state: State = "queued"
    done: int = 0
    total: int = 0
    error: str | None = None
    images: tuple[int, ...] = ()  # ids of the images finished last, at most RECENT
    detections: int = 0
    skipped: tuple[tuple[str, str], ...] = ()  # what could not be done, and why
    notes: tuple[str, ...] = ()  # what went otherwise than usual, without harm to the result
    result: dict[str, object] = field(default_factory=dict)
    seconds_left: float | None = None


class Job:
    """The side of a job that its worker holds: reports progress, learns that it should stop."""

    def __init__(self, job_id: UUID) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._state = JobState(job_id)
        self._started = time.monotonic()

    @property
    def state(self) -> JobState:
        """The job as of now."""
        with self._lock:
            return self._state

    @property
    def should_stop(self) -> bool:
        """Whether somebody asked for the end; the worker finishes what it holds and returns."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the job to end after the piece it is at."""
        self._stop.set()

    def progress(self, done: int, total: int) -> None:
        """`done` of `total` pieces are finished."""
        elapsed = time.monotonic() - self._started
        left = elapsed / done * (total - done) if done else None
        self._update(done=done, total=total, seconds_left=left)

    def progress_or_end(self, done: int, total: int) -> None:
        """As `progress`, for work that can't look at `should_stop` itself.

        Raises:
            Stopped: the job was asked to stop, and the work is not finished.
        """
        self.progress(done, total)
        if self.should_stop and done < total:
            raise Stopped

    def image_done(self, image_id: int, detections: int) -> None:
        """One image is finished, with so many detections."""
        now = self.state
        self._update(images=(*now.images[1 - RECENT :], image_id), detections=now.detections + detections)

    def found_before(self, detections: int) -> None:
        """So many detections are there from an earlier run."""
        self._update(detections=detections)

    def skip(self, what: str, reason: str) -> None:
        """One piece could not be done; the rest goes on."""
        self._update(skipped=(*self.state.skipped, (what, reason)))

    def note(self, line: str) -> None:
        """Something to tell that stops nothing."""
        self._update(notes=(*self.state.notes, line))

    def run(self, work: Callable[["Job"], dict[str, object]]) -> None:
        """Do the work; whatever happens ends up in the state."""
        if self.should_stop:
            self._update(state="stopped")
            return
        self._started = time.monotonic()
        self._update(state="running")
        try:
            result = work(self)
        except Stopped:
            self._update(state="stopped", seconds_left=None)
        except Exception as error:
            self._update(state="failed", error=explain(error), seconds_left=None)
        else:
            self._update(state="stopped" if self.should_stop else "done", result=result, seconds_left=None)

    def _update(self, **changes: object) -> None:
        with self._lock:
            self._state = replace(self._state, **changes)  # type: ignore[arg-type]


class Jobs:
    """All jobs of this process, the newest `keep` remembered.

    Long ones run one after the other, short ones beside them and beside each other: what somebody asks of the image
    at hand need not wait until a thousand images are labelled.
    """

    def __init__(self, keep: int = 100) -> None:
        self._jobs: dict[UUID, Job] = {}
        self._keep = keep
        self._lock = threading.Lock()  # requests start jobs on threads of their own
        self._long = ThreadPoolExecutor(max_workers=1, thread_name_prefix="job")
        self._short = ThreadPoolExecutor(max_workers=_SHORT_AT_ONCE, thread_name_prefix="short-job")

    def start(self, work: Callable[[Job], dict[str, object]], *, is_short: bool = False) -> UUID:
        """Queue a piece of work; a short one never waits for a long one."""
        job = Job(uuid4())
        with self._lock:
            self._jobs[job.state.id] = job
            for old in list(self._jobs)[: -self._keep]:
                if self._jobs[old].state.state not in ("queued", "running"):
                    del self._jobs[old]
        (self._short if is_short else self._long).submit(job.run, work)
        return job.state.id

    def state(self, job_id: UUID) -> JobState:
        """A job as of now.

        Raises:
            JobNotFound: an id of no job, or of one long past.
        """
        return self._job(job_id).state

    def stop(self, job_id: UUID) -> None:
        """Ask a job to end; one that is queued never starts."""
        self._job(job_id).stop()

    def close(self) -> None:
        """Stop everything and wait for the piece at hand."""
        for job in list(self._jobs.values()):
            job.stop()
        for worker in (self._short, self._long):
            worker.shutdown(cancel_futures=True)

    def _job(self, job_id: UUID) -> Job:
        try:
            return self._jobs[job_id]
        except KeyError:
            raise JobNotFound(f"There is no job {job_id}: it may be from before the last restart.") from None
