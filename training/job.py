"""One training run from the asking to the registered checkpoint, in the process that calls it."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from annotations import queries, runs
from annotations.database import Store
from common.sharing import SharedDevice
from engine.checkpoints import load_grounding_detector
from engine.devices import pick_device
from engine.errors import PromptError
from engine.grounding import GroundingDetector
from training.batch_size import with_batch_size
from training.checks.overfit import check_overfit
from training.config import TrainConfig, defaults_for, load_config
from training.dataset import split_for_training
from training.environment import environment
from training.errors import JobRefused, NothingToTrain
from training.forgetting import kept
from training.lesson import Lesson, lesson_of
from training.lora import weights_sha256
from training.material import Material, read_material
from training.metrics.coco import Evaluation
from training.preflight import preflight, refuse_errors
from training.processes import Processes
from training.publishing import Taught, checked_name, default_name, publish
from training.replay import Memory, load_memory, notes_on, pool_of, remember, save_memory
from training.reporting import Reporter, Say, silence
from training.run_folder import Plan, RunFolder
from training.schedule import validation_period
from training.signs import heartbeat, stop_signals
from training.trainer import Progress, train


@dataclass(frozen=True)
class TrainRequest:
    """What a person asks for.

    Attributes:
        dataset: its name.
        detector: what people call the detector to teach.
        source: where its weights are: "starter", a folder or a hub id.
        name: of the checkpoint; None: the dataset's name and a number.
        mode: "vocabulary", "closed" or "open"; None: as the settings say.
        steps: None: as many as suit the machine and the number of images.
        config_file: YAML settings.
        settings: "KEY=VALUE" texts, stronger than the file.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
    """

    dataset: str
    detector: str = "starter"
    source: str | Path = "starter"
    name: str | None = None
    mode: str | None = None
    steps: int | None = None
    config_file: Path | None = None
    settings: tuple[str, ...] = ()
    device: str = "auto"

    def config(self, base: TrainConfig) -> TrainConfig:
        """`base` changed by the file, then by the single settings, then by `mode` and `steps`."""
        flags = {"mode": self.mode, "steps": self.steps}
        texts = [f"{key}={value}" for key, value in flags.items() if value is not None]
        return load_config(self.config_file, [*self.settings, *texts], base)

    def config_for(self, device: str, images: int, parameters: int) -> TrainConfig:
        """What was asked for, the rest as it suits the machine, the images and the detector (`defaults_for`)."""
        return self.config(defaults_for(device, images, parameters, self.config(TrainConfig()).mode))


def run_training(
    store: Store,
    workspace: Path,
    request: TrainRequest,
    *,
    run_id: UUID | None = None,
    say: Say = silence,
    processes: Processes | None = None,
) -> dict[str, Any]:
    """Teach a detector and register what it became; returns the final document.

    The run's files lie in workspace/runs/<run id>, the checkpoint in workspace/checkpoints/<name>. A file called
    "stop" in the run's folder, SIGTERM or Ctrl+C end it early; what it learned so far is saved and registered all the
    same. Killed, it can be taken up again by `resume_training`.

    Args:
        store: the open database.
        workspace: the user's folder.
        request: what to do.
        run_id: a waiting row of `annotations.runs.create_run`; None: one is made.
        say: gets each line of progress.jsonl as it is written.
        processes: of which this is the first; the others call `follow_training`. None: there are no others.

    Returns:
        {"checkpoint", "folder", "metrics", "before", "kept", "per_category", "per_category_before", "best_step",
        "steps", "seconds", "state", "run", "snapshot", "notes"}; "checkpoint", "folder" and "metrics" are None where
        it was stopped before its first step, "kept" where forgetting was not measured.

    Raises:
        TrainingError: a name that is taken, bad settings, nothing to learn from, a loss that is no number.
        EngineError: the detector can't be loaded.
        NotFound: no such dataset.
    """
    run_id = run_id or _queued(store, workspace, request)
    folder = RunFolder(workspace / "runs" / str(run_id))
    processes = processes or Processes()
    with _reported(store, run_id):
        plan, material, detector = _prepared(store, workspace, request, run_id)
        plan = _sized(plan, material, detector, processes)
        plan = _tried(plan, material, detector)
        folder.write_plan(plan, material)
        return _teach(store, workspace, run_id, plan, material, detector, say, processes)


def resume_training(
    store: Store, workspace: Path, run_id: UUID, *, say: Say = silence, processes: Processes | None = None
) -> dict[str, Any]:
    """Take up a run that failed, was killed or was stopped: from its last saved state, on the labels it began with.

    Returns and raises as `run_training`.

    Raises:
        JobRefused: the run is done, is at work, or never began.
    """
    with store.reading() as session:
        run = runs.run_by_id(session, run_id)
        if run.state == "done":
            raise JobRefused(f"Run {run_id} is done. Start a new one to learn more.")
        if run.state == "running" and _is_another(run.pid):
            raise JobRefused(f"Run {run_id} is at work in process {run.pid}. Stop it first.")
        announced = run.state in ("queued", "running")  # by who started this process; a stop since is meant for us
    folder = RunFolder(workspace / "runs" / str(run_id))
    if not announced:
        folder.clear_stop()
    with _reported(store, run_id):
        plan, material = folder.read_plan()
        processes = processes or Processes()
        detector = load_grounding_detector(plan.source, device=processes.device(plan.device), name=plan.detector)
        return _teach(store, workspace, run_id, plan, material, detector, say, processes)


def follow_training(workspace: Path, processes: Processes) -> None:
    """What every process but the first does: compute its share of each step, and leave the rest to the first.

    Raises:
        PeerFailed: another process failed.
    """
    run_id = processes.exchange(None)[0]
    folder = RunFolder(workspace / "runs" / str(run_id))
    plan, material = folder.read_plan()
    detector = load_grounding_detector(plan.source, device=processes.device(plan.device), name=plan.detector)
    lesson = lesson_of(material, load_memory(folder.memory), detector, plan.config, plan.left_out)
    with stop_signals() as signalled:
        for _ in _learning(folder, plan, lesson, detector, signalled.is_set, processes):
            pass


def _queued(store: Store, workspace: Path, request: TrainRequest) -> UUID:
    """A row for a run that nobody announced."""
    run_id = uuid4()
    params = {"dataset": request.dataset, "detector": request.detector, "name": request.name}
    with store.reading() as session:
        dataset_id = queries.dataset_by_name(session, request.dataset).id
    with store.writing() as session:
        folder = workspace / "runs" / str(run_id)
        runs.create_run(session, "train", dataset_id=dataset_id, params=params, folder=folder, run_id=run_id)
    return run_id


@contextmanager
def _reported(store: Store, run_id: UUID) -> Iterator[None]:
    """The row says "running" within the block, and "failed" with the reason when it raises."""
    with store.writing() as session:
        runs.start_run(session, run_id)
    try:
        yield
    except BaseException as error:
        reason = " ".join(str(error).split()) or "interrupted"
        known = isinstance(error, ValueError | LookupError) or type(error).__module__.split(".")[0] in _OURS
        with store.writing() as session:
            runs.finish_run(session, run_id, "failed", error=reason if known else f"{type(error).__name__}: {reason}")
        raise


def _prepared(
    store: Store, workspace: Path, request: TrainRequest, run_id: UUID
) -> tuple[Plan, Material, GroundingDetector]:
    """Check everything that can be checked before the work begins, the cheapest first."""
    early = request.config(TrainConfig())
    material = _material(store, workspace, request)
    name = _reserved_name(store, workspace, request, run_id)
    images = _images_to_learn_from(material, early)
    device = str(pick_device(request.device))
    path = Path(request.source).expanduser()
    source = str(path.resolve()) if path.is_dir() else str(request.source)
    detector = load_grounding_detector(source, device=device, name=request.detector)
    config = request.config_for(device, images, _parameters(detector))
    left_out, notes = _checked(store, workspace, material, detector, config)
    return Plan(name, request.detector, source, device, config, left_out, notes), material, detector


def _sized(plan: Plan, material: Material, detector: GroundingDetector, processes: Processes) -> Plan:
    """The plan with a batch size, found by trying where the settings leave it open; a resumed run keeps it."""
    if plan.config.batch_size:
        return plan
    lesson = lesson_of(material, Memory(), detector, plan.config, plan.left_out)
    batches = lambda config: lesson.batches(detector, config, Processes())  # noqa: E731 - this process tries alone
    config = with_batch_size(plan.config, detector, batches, lesson.images, processes)
    note = f"A step takes {config.batch_size} images, the most that fit into memory."
    return replace(plan, config=config, notes=(*plan.notes, note))


def _tried(plan: Plan, material: Material, detector: GroundingDetector) -> Plan:
    """The plan with what learning one batch by heart has shown; refused where not even that works."""
    lesson = lesson_of(material, Memory(), detector, plan.config, plan.left_out)
    report = check_overfit(detector, lesson.batches(detector, plan.config, Processes()), plan.config)
    refuse_errors(report, material.name)
    return replace(plan, notes=(*plan.notes, *(problem.line for problem in report.problems)))


def _material(store: Store, workspace: Path, request: TrainRequest) -> Material:
    """What the dataset teaches; where its categories can't be asked for, that is told with all else that is wrong."""
    with store.reading() as session:
        try:
            return read_material(session, request.dataset)
        except PromptError:
            detector = load_grounding_detector(request.source, device="cpu", name=request.detector)
            config = request.config_for("cpu", 1, _parameters(detector))
            refuse_errors(preflight(session, request.dataset, detector, config, workspace), request.dataset)
            raise


def _images_to_learn_from(material: Material, config: TrainConfig) -> int:
    """How many there are, for the choice of settings; refused where there are none."""
    texts = sum(image.split in (None, "train") for image in material.captioned)
    if material.labels is None:
        return texts
    try:
        return len(split_for_training(material.labels, config.hold_out, config.seed).train) + texts
    except NothingToTrain:
        if not texts:
            raise
        return texts


def _checked(
    store: Store, workspace: Path, material: Material, detector: GroundingDetector, config: TrainConfig
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """What can't be used, and what the person should know beforehand; refused where nothing can be learnt."""
    with store.reading() as session:
        report = preflight(session, material.name, detector, config, workspace)
    refuse_errors(report, material.name)
    notes = [problem.line for problem in report.warnings if problem.kind not in _TOLD_BY_THE_LESSON]
    return tuple(sorted(report.unusable)), tuple(notes)


def _reserved_name(store: Store, workspace: Path, request: TrainRequest, run_id: UUID) -> str:
    """The name of the checkpoint to come, kept in the run's row so that no other run takes it."""
    folders = {path.name for path in (workspace / "checkpoints").glob("*")}
    with store.writing() as session:
        registered = {row.name for row in runs.checkpoints(session)}
        others = [run for run in runs.runs(session, kind="train") if run.id != run_id]
        coming = {str(run.params.get("name")) for run in others if run.state in ("queued", "running")}
        taken = folders | registered | coming
        name = checked_name(request.name, taken) if request.name else default_name(request.dataset, taken)
        run = runs.run_by_id(session, run_id)
        run.params = {**run.params, "name": name}
    return name


def _teach(
    store: Store,
    workspace: Path,
    run_id: UUID,
    plan: Plan,
    material: Material,
    detector: GroundingDetector,
    say: Say,
    processes: Processes,
) -> dict[str, Any]:
    folder = RunFolder(workspace / "runs" / str(run_id))
    folder.add_start(
        {"at": datetime.now(UTC).isoformat(timespec="seconds"), **environment(plan.device, processes.count)}
    )
    base_sha256 = weights_sha256(detector.model)
    with stop_signals() as signalled, heartbeat(store, run_id) as told_to_stop:
        wishes: tuple[Callable[[], bool], ...] = (signalled.is_set, told_to_stop.is_set, folder.asked_to_stop)
        stop = lambda: any(wish() for wish in wishes)  # noqa: E731 - wishes are bound just above
        memory = _memory(store, folder, material, detector, plan.config, stop)
        processes.exchange(run_id)  # all that the others read is written: they may begin
        lesson = lesson_of(material, memory, detector, plan.config, plan.left_out)
        notes = [*plan.notes, *lesson.notes, *notes_on(memory, plan.config)]
        with closing(Reporter(folder, plan.config, notes, say)) as report:
            last: Progress | None = None
            steps = _learning(folder, plan, lesson, detector, stop, processes)
            for last in _in_turn(steps, SharedDevice(workspace)):
                report(last)
        if last is None or last.before is None:
            raise JobRefused(f"Run {run_id} ended before it measured anything. Start it again.")
        place = taught = None
        if last.best is not None:
            taught = Taught(last.before, last.best, last.best_step, base_sha256, kept(detector, memory))
            place = publish(store, workspace / "checkpoints", run_id, plan, material, detector, taught)
    document = _document(run_id, place, last, notes)
    document |= {"kept": taught.kept if taught else None, "snapshot": material.snapshot_id}
    with store.writing() as session:
        runs.finish_run(session, run_id, document["state"], result=document)
    return document


def _memory(
    store: Store,
    folder: RunFolder,
    material: Material,
    detector: GroundingDetector,
    config: TrainConfig,
    stop: Callable[[], bool],
) -> Memory:
    """What the detector knows before it learns, asked once in the life of a run."""
    if folder.memory.exists():
        return load_memory(folder.memory)
    with store.reading() as session:
        pool = pool_of(session, material, detector, config.seed)
    memory = remember(detector, pool, config, stop)
    if stop():
        memory = Memory()  # half of an answer would be taken for a whole one when the run is resumed
    else:
        save_memory(memory, folder.memory)
    return memory


def _learning(
    folder: RunFolder,
    plan: Plan,
    lesson: Lesson,
    detector: GroundingDetector,
    stop: Callable[[], bool],
    processes: Processes,
) -> Iterator[Progress]:
    return train(
        detector,
        lesson.batches(detector, plan.config, processes),
        lesson.evaluate,
        replace(plan.config, validate_every=validation_period(plan.config, lesson.images)),
        resume=folder.state,
        stop=stop,
        processes=processes,
    )


def _in_turn(steps: Iterator[Progress], device: SharedDevice) -> Iterator[Progress]:
    """The steps, each when nobody waits for an answer on the same device."""
    while True:
        with device.piece():
            progress = next(steps, None)
        if progress is None:
            return
        yield progress


def _document(run_id: UUID, place: Path | None, last: Progress, notes: list[str]) -> dict[str, Any]:
    return {
        "checkpoint": place.name if place else None,
        "folder": str(place) if place else None,
        "metrics": dict(last.best.metrics) if last.best else None,
        "before": dict(last.before.metrics) if last.before else None,
        "per_category": _per_category(last.best),
        "per_category_before": _per_category(last.before),
        "best_step": last.best_step,
        "steps": last.step,
        "seconds": round(last.seconds, 1),
        "state": "done" if last.step == last.steps or last.event == "early_stop" else "stopped",
        "run": str(run_id),
        "notes": notes,
    }


def _per_category(found: Evaluation | None) -> dict[str, Any] | None:
    return {name: dict(of) for name, of in found.per_category.items()} if found else None


def _is_another(pid: int | None) -> bool:
    return pid is not None and pid != os.getpid() and runs.is_alive(pid)


def _parameters(detector: GroundingDetector) -> int:
    return sum(parameter.numel() for parameter in detector.model.parameters())


_TOLD_BY_THE_LESSON = ("no_validation", "image_gone", "image_unreadable", "long_text")
_OURS = ("annotations", "common", "engine", "training")
