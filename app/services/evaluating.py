"""How well a detector finds what people annotated in a dataset: measured, kept, shown beside earlier ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from annotations import queries, runs
from annotations.database import Store
from annotations.errors import NotFound
from annotations.models import Annotation, Image, Run
from app.services.evaluation_document import EvaluationDocument, left_out, thresholds_told
from app.services.jobs import Job, JobNotFound, Jobs
from app.services.models import Models
from app.services.questions import FLOOR
from common.images import ImageRefused

if TYPE_CHECKING:
    from annotations.queries import LabelledImage
    from engine.detector import Detector
    from engine.ontology import Ontology
    from training.dataset import LabelledDataset
    from training.metrics.coco import Labels, Predictions
    from training.metrics.confusion import Outcome

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Measured:
    """An evaluation with what it was made of, one entry an image, for a report that shows pictures.

    Only detection on a dataset has pictures.
    """

    document: EvaluationDocument
    names: tuple[str, ...] = ()
    images: Sequence["LabelledImage"] = ()
    labels: Sequence["Labels"] = ()
    predictions: Sequence["Predictions"] = ()
    outcomes: Sequence["Outcome"] = ()


@dataclass(frozen=True)
class EvaluationView:
    """A kept evaluation as the page shows it."""

    id: UUID
    measured_at: str  # ISO 8601
    learnt_from: bool  # the detector was taught on this dataset and may have seen these very images
    document: Mapping[str, Any]


class Evaluator:
    """Measures the detector in use on a dataset and keeps the newest result of each detector and split."""

    def __init__(self, store: Store, models: Models, jobs: Jobs) -> None:
        self._store = store
        self._models = models
        self._jobs = jobs
        self._running: dict[int, UUID] = {}  # dataset -> the job that was started last

    def start(self, dataset_id: int, split: str | None) -> UUID:
        """Queue an evaluation and answer the job's id; one that is at work on this dataset is answered instead.

        Raises:
            NotFound: no such dataset, or nothing annotated in the split.
        """
        if (running := self.running(dataset_id)) is not None:
            return running
        with self._store.reading() as session:
            name = queries.dataset_by_id(session, dataset_id).name
            counts = labelled_counts(session, dataset_id)
        if not (counts.get(split, 0) if split else sum(counts.values())):
            raise NotFound(_nothing_labelled(name, split, counts))

        def work(job: Job) -> dict[str, object]:
            measured = measure(self._store, self._models, name, split, progress=job.progress_or_end)
            return {"evaluation": str(keep(self._store, measured.document))}

        self._running[dataset_id] = self._jobs.start(work)
        return self._running[dataset_id]

    def running(self, dataset_id: int) -> UUID | None:
        """The job that measures on this dataset now."""
        job_id = self._running.get(dataset_id)
        try:
            going = job_id is not None and self._jobs.state(job_id).state in ("queued", "running")
        except JobNotFound:
            going = False
        return job_id if going else None

    def kept(self, dataset_id: int) -> list[EvaluationView]:
        """The newest evaluation of each detector and split, the newest first."""
        with self._store.reading() as session:
            taught_on = {row.name: row.dataset_id for row in runs.checkpoints(session)}
            return [
                _view(row, taught_on.get(str(row.params.get("detector"))) == dataset_id)
                for row in runs.runs(session, dataset_id, "evaluate")
                if row.state == "done" and row.result
            ]

    def labelled(self, dataset_id: int) -> dict[str | None, int]:
        """How many images of each split can be measured on."""
        with self._store.reading() as session:
            return labelled_counts(session, dataset_id)


def evaluate_dataset(
    store: Store, models: Models, dataset_name: str, split: str | None, progress: Progress | None = None
) -> EvaluationDocument:
    """Score the current detector on the annotated images of a dataset; see `measure`."""
    return measure(store, models, dataset_name, split, progress=progress).document


def measure(
    store: Store,
    models: Models,
    dataset_name: str,
    split: str | None,
    *,
    threshold: float | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Score the current detector on the annotated images of a dataset, all its categories in the prompt.

    Args:
        store: where the dataset is.
        models: the detector in use is measured.
        dataset_name: which dataset.
        split: None: all its annotated images.
        threshold: of the confusion matrix; None: each category's suggested one.
        progress: called with (images done, images in all); what it raises ends the work.

    Raises:
        NotFound: no such dataset, or nothing annotated in the split.
        ImageRefused: no image can be read. Single ones are left out, and counted in the document.
    """
    from training.dataset import read_dataset
    from training.metrics.coco import coco_metrics

    with store.reading() as session:
        dataset = read_dataset(session, dataset_name)
    detector = models.detector()
    images, labels, raw, refused = _detected(models, detector, _of_split(dataset, split), dataset.ontology, progress)
    names = dataset.ontology.names
    evaluation = coco_metrics(labels, raw, names)
    shown = [_as_shown(predictions) for predictions in raw]
    parts, outcomes = thresholds_told(labels, shown, names, threshold)
    document = EvaluationDocument(
        detector.name,
        dataset_name,
        split,
        evaluation.images,
        evaluation.metrics,
        evaluation.per_category,
        skipped=left_out(refused),
        **parts,
    )
    return Measured(document, tuple(names), images, labels, shown, outcomes)


def keep(store: Store, document: EvaluationDocument) -> UUID:
    """Remember an evaluation in place of an earlier one of this detector on this split; answers its id."""
    params = {"detector": document.detector, "split": document.split, "task": document.task}
    with store.writing() as session:
        dataset_id = queries.dataset_by_name(session, document.dataset).id
        for row in runs.runs(session, dataset_id, "evaluate"):
            if row.params == params:
                session.delete(row)
        run_id = runs.create_run(session, "evaluate", dataset_id=dataset_id, params=params).id
        runs.start_run(session, run_id)
        runs.finish_run(session, run_id, result=document.as_json())
    return run_id


def labelled_counts(session: Session, dataset_id: int) -> dict[str | None, int]:
    """How many images of each split have annotations, or are done and show nothing."""
    labelled: ColumnElement[bool] = Image.done_at.is_not(None) | exists().where(
        Annotation.image_id == Image.id
    ).correlate(Image)
    query = (
        select(Image.split, func.count().label("images"))
        .where(Image.dataset_id == dataset_id, labelled)
        .group_by(Image.split)
    )
    return {row.split: row.images for row in session.execute(query)}


def _of_split(dataset: "LabelledDataset", split: str | None) -> list["LabelledImage"]:
    images = dataset.of_split(split)
    if not images:
        counts: dict[str | None, int] = {}
        for image in dataset.images:
            counts[image.split] = counts.get(image.split, 0) + 1
        raise NotFound(_nothing_labelled(dataset.name, split, counts))
    return images


def _nothing_labelled(name: str, split: str | None, counts: Mapping[str | None, int]) -> str:
    """One line that says where there are labels instead."""
    if not any(counts.values()):
        return f"There are no annotated images in dataset {name!r}: annotate some, or import labels."
    there = ", ".join(f"{count} {f'in {key}' if key else 'without a split'}" for key, count in counts.items() if count)
    return (
        f"There are no annotated images in the {split!r} split of {name!r} ({there}): choose another --split, or none."
    )


def _detected(
    models: Models,
    detector: "Detector",
    images: Sequence["LabelledImage"],
    ontology: "Ontology",
    progress: Progress | None,
) -> tuple[list["LabelledImage"], list["Labels"], list["Predictions"], list[str]]:
    """The images that can be read with their labels and predictions, and why the others can't.

    The device is held for a few images at a time, so that a click gets its turn.
    """
    batch = 1 if detector.device == "cpu" else 8
    read: list[LabelledImage] = []
    labels: list[Labels] = []
    predictions: list[Predictions] = []
    refused: list[str] = []
    for start in range(0, len(images), batch):
        for image, of_image, found in _of_batch(models, detector, images[start : start + batch], ontology, refused):
            read.append(image)
            labels.append(of_image)
            predictions.append(found)
        if progress is not None:
            progress(min(start + batch, len(images)), len(images))
    if not read:
        raise ImageRefused(f"None of the {len(images)} images can be read. The first: {refused[0]}")
    return read, labels, predictions, refused


def _of_batch(
    models: Models,
    detector: "Detector",
    images: Sequence["LabelledImage"],
    ontology: "Ontology",
    refused: list[str],
) -> list[tuple["LabelledImage", "Labels", "Predictions"]]:
    """What is said of each image; where one can't be read, the others are looked at one by one."""
    from training.metrics.coco import detected

    try:
        with models.device():
            return list(zip(images, *detected(detector, images, ontology, batch_size=len(images)), strict=True))
    except ImageRefused as refusal:
        if len(images) == 1:
            refused.append(str(refusal))
            return []
    return [found for image in images for found in _of_batch(models, detector, [image], ontology, refused)]


def _as_shown(predictions: "Predictions") -> "Predictions":
    """What the page keeps of the raw predictions."""
    from training.metrics.coco import Predictions as Shown
    from training.metrics.coco import without_doubles

    kept = predictions.scores >= FLOOR
    return without_doubles(Shown(predictions.boxes_xyxy[kept], predictions.classes[kept], predictions.scores[kept]))


def _view(row: Run, learnt_here: bool) -> EvaluationView:
    return EvaluationView(
        id=row.id,
        measured_at=row.finished_at.isoformat() if row.finished_at else "",
        learnt_from=learnt_here and row.params.get("split") in (None, "train"),
        document=row.result or {},
    )
