"""One training run from the asking to the registered checkpoint, in the process that calls it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from annotations import queries, runs
from annotations.database import Store
from annotations.queries import LabelledImage
from engine.checkpoints import load_detector
from engine.devices import pick_device
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from engine.prompts import MAX_TOKENS
from training.config import TrainConfig, defaults_for, load_config
from training.data import Batch, BatchMaker, resized_to
from training.dataset import LabelledDataset, Splits, read_dataset, split_for_training
from training.errors import JobRefused, NothingToTrain
from training.metrics.coco import Evaluation, evaluate_detector
from training.processes import Processes
from training.publishing import Taught, checked_name, default_name, publish
from training.reporting import Reporter, Say, silence
from training.run_folder import Plan, RunFolder
from training.schedule import validation_period
from training.signs import heartbeat, stop_signals
from training.sources import Source
from training.trainer import Progress, train
from training.vocabulary import PromptSampler

_VALIDATION_BATCH = 8  # images read at once where a device can work on several


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
        {"checkpoint", "folder", "metrics", "before", "per_category", "best_step", "steps", "seconds", "state", "run",
        "notes"}; "checkpoint", "folder" and "metrics" are None where it was stopped before its first step.

    Raises:
        TrainingError: a name that is taken, bad settings, nothing to learn from, a loss that is no number.
        EngineError: the detector can't be loaded.
        NotFound: no such dataset.
    """
    run_id = run_id or _queued(store, workspace, request)
    folder = RunFolder(workspace / "runs" / str(run_id))
    with _reported(store, run_id):
        plan, dataset, detector = _prepared(store, workspace, request, run_id)
        folder.write_plan(plan, dataset)
        return _teach(store, workspace, run_id, plan, dataset, detector, say, processes or Processes())


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
        plan, dataset = folder.read_plan()
        processes = processes or Processes()
        detector = load_detector(plan.source, device=processes.device(plan.device), name=plan.detector)
        return _teach(store, workspace, run_id, plan, dataset, detector, say, processes)


def follow_training(workspace: Path, processes: Processes) -> None:
    """What every process but the first does: compute its share of each step, and leave the rest to the first.

    Raises:
        PeerFailed: another process failed.
    """
    run_id = processes.exchange(None)[0]
    folder = RunFolder(workspace / "runs" / str(run_id))
    plan, dataset = folder.read_plan()
    detector = load_detector(plan.source, device=processes.device(plan.device), name=plan.detector)
    splits, _ = _usable(split_for_training(dataset, plan.config.hold_out, plan.config.seed), detector)
    with stop_signals() as signalled:
        for _ in _learning(folder, plan, dataset, splits, detector, signalled.is_set, processes):
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
) -> tuple[Plan, LabelledDataset, GroundingDetector]:
    """Check everything that can be checked before the work begins, the cheapest first."""
    early = request.config(TrainConfig())
    with store.reading() as session:
        dataset = read_dataset(session, request.dataset)
    name = _reserved_name(store, workspace, request, run_id)
    splits = split_for_training(dataset, early.hold_out, early.seed)
    device = str(pick_device(request.device))
    path = Path(request.source).expanduser()
    source = str(path.resolve()) if path.is_dir() else str(request.source)
    detector = load_detector(source, device=device, name=request.detector)
    config = request.config(defaults_for(device, len(splits.train), _parameters(detector)))
    return Plan(name, request.detector, source, device, config), dataset, detector


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
    dataset: LabelledDataset,
    detector: GroundingDetector,
    say: Say,
    processes: Processes,
) -> dict[str, Any]:
    processes.exchange(run_id)  # the plan is written: the others may begin
    folder = RunFolder(workspace / "runs" / str(run_id))
    splits, notes = _usable(split_for_training(dataset, plan.config.hold_out, plan.config.seed), detector)
    report = Reporter(folder, plan.config, notes, say)
    with stop_signals() as signalled, heartbeat(store, run_id) as told_to_stop:
        wishes: tuple[Callable[[], bool], ...] = (signalled.is_set, told_to_stop.is_set, folder.asked_to_stop)
        last: Progress | None = None
        stop = lambda: any(wish() for wish in wishes)  # noqa: E731 - wishes are bound just above
        for last in _learning(folder, plan, dataset, splits, detector, stop, processes):
            report(last)
        if last is None or last.before is None:
            raise JobRefused(f"Run {run_id} ended before it measured anything. Start it again.")
        place = None
        if last.best is not None:
            taught = Taught(last.before, last.best, last.best_step)
            place = publish(store, workspace / "checkpoints", run_id, plan, dataset, detector, taught)
    document = _document(run_id, place, last, notes)
    with store.writing() as session:
        runs.finish_run(session, run_id, document["state"], result=document)
    return document


def _learning(
    folder: RunFolder,
    plan: Plan,
    dataset: LabelledDataset,
    splits: Splits,
    detector: GroundingDetector,
    stop: Callable[[], bool],
    processes: Processes,
) -> Iterator[Progress]:
    return train(
        detector,
        _batches(detector, splits, dataset.ontology, plan.config, processes),
        _evaluation(detector, splits, dataset.ontology, plan.config),
        replace(plan.config, validate_every=validation_period(plan.config, len(splits.train))),
        resume=folder.state,
        stop=stop,
        processes=processes,
    )


def _document(run_id: UUID, place: Path | None, last: Progress, notes: list[str]) -> dict[str, Any]:
    return {
        "checkpoint": place.name if place else None,
        "folder": str(place) if place else None,
        "metrics": dict(last.best.metrics) if last.best else None,
        "before": dict(last.before.metrics) if last.before else None,
        "per_category": {name: dict(of) for name, of in last.best.per_category.items()} if last.best else None,
        "best_step": last.best_step,
        "steps": last.step,
        "seconds": round(last.seconds, 1),
        "state": "done" if last.step == last.steps or last.event == "early_stop" else "stopped",
        "run": str(run_id),
        "notes": notes,
    }


def _batches(
    detector: GroundingDetector, splits: Splits, ontology: Ontology, config: TrainConfig, processes: Processes
) -> Callable[[int], list[Batch]]:
    """The parts of each step, at the size the taught detector will work at."""
    max_tokens = min(MAX_TOKENS, int(detector.model.config.max_text_len))
    prompts = PromptSampler(ontology, detector.tokenizer, config.mode, config.negatives, max_tokens)
    own = detector.preprocessing
    preprocessing = resized_to(own, config.short_side_px) if config.short_side_px else own
    sources = [Source(splits.train, prompts)]
    return BatchMaker(sources, preprocessing, config, rank=processes.rank, processes=processes.count)


def _evaluation(
    detector: GroundingDetector, splits: Splits, ontology: Ontology, config: TrainConfig
) -> Callable[[], Evaluation]:
    """Scores the detector as it is when called."""
    images = _sample(splits.validation, config)
    batch_size = 1 if detector.device == "cpu" else _VALIDATION_BATCH
    return lambda: evaluate_detector(detector, images, ontology, batch_size=batch_size)


def _sample(images: Sequence[LabelledImage], config: TrainConfig) -> list[LabelledImage]:
    """At most `config.validate_images`, drawn by the seed, in their own order."""
    if len(images) <= config.validate_images:
        return list(images)
    drawn = np.random.default_rng([config.seed, 2]).permutation(len(images))[: config.validate_images]
    return [images[index] for index in sorted(drawn)]


def _usable(splits: Splits, detector: GroundingDetector) -> tuple[Splits, list[str]]:
    """The images whose files are there, and what a person should know of them."""
    notes = [splits.note] if splits.note else []
    train_images = [image for image in splits.train if Path(image.path).is_file()]
    validation = [image for image in splits.validation if Path(image.path).is_file()]
    if not train_images or not validation:
        missing = next(image for image in splits.train + splits.validation if not Path(image.path).is_file())
        raise NothingToTrain(f"The image files are gone, {missing.path!r} for one. Put them back, or import again.")
    gone = len(splits.train) + len(splits.validation) - len(train_images) - len(validation)
    if gone:
        notes.append(f"{gone} images are left out because their files are gone.")
    queries_ = int(detector.model.config.num_queries)
    crowded = sum(len(image.boxes_xyxy) > queries_ for image in train_images)
    if crowded:
        notes.append(f"{crowded} images have more than {queries_} boxes, the most this detector can find on one.")
    return replace(splits, train=train_images, validation=validation), notes


def _is_another(pid: int | None) -> bool:
    return pid is not None and pid != os.getpid() and runs.is_alive(pid)


def _parameters(detector: GroundingDetector) -> int:
    return sum(parameter.numel() for parameter in detector.model.parameters())


_OURS = ("annotations", "common", "engine", "training")
