"""How well a detector finds what people annotated in a dataset: measured, kept, shown beside earlier ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from annotations import queries, runs
from annotations.database import Store
from annotations.errors import NotFound
from annotations.models import Annotation, Image, Run
from app.services.jobs import Job, JobNotFound, Jobs
from app.services.labelling import FLOOR, without_doubles
from app.services.models import Models

if TYPE_CHECKING:
    from annotations.queries import LabelledImage
    from engine.detector import Detector
    from engine.ontology import Ontology
    from training.dataset import LabelledDataset
    from training.metrics.analysis import Analysis, Curve
    from training.metrics.coco import Labels, Predictions
    from training.metrics.confusion import Outcome
    from training.metrics.suggested import Suggestion

Progress = Callable[[int, int], None]

COMMON_THRESHOLD = 0.4
"""Of categories for which none is suggested: what the page starts with."""

MOST_POINTS = 101
"""Of one curve in a document; fewer where there are many categories."""

ALL_POINTS = 20_000
"""Of all curves of a document together."""


@dataclass(frozen=True)
class EvaluationDocument:
    """What `evaluate --json` prints.

    `metrics` and `per_category` follow the published protocol: all 300 boxes of an image, overlaps included. The
    rest is about what the page would show: without doubles, scores from 0.05.

    Attributes:
        detector: its name.
        dataset: its name.
        split: None: images of every split.
        images: how many were looked at.
        metrics: name -> value in [0, 1]; None where there is nothing to measure.
        per_category: name -> {"AP", "AP50", "annotations"}.
        task: "detect", "ground" or "refer".
        confusion: {"names", "matrix", "thresholds", "iou"}: a row for each true category and one for the background,
            a column for each predicted one and one for what was missed.
        curves: {"all": curve, "per_category": name -> curve}; a curve is {"labels", "thresholds", "precision",
            "recall", "f1"}, the highest threshold first.
        suggested_thresholds: name -> {"threshold", "basis", "precision", "recall", "f1"}, or None.
    """

    detector: str
    dataset: str
    split: str | None
    images: int
    metrics: Mapping[str, float | None]
    per_category: Mapping[str, Mapping[str, float | int | None]]
    task: str = "detect"
    confusion: Mapping[str, Any] | None = None
    curves: Mapping[str, Any] | None = None
    suggested_thresholds: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, object]:
        """The document with plain values; what does not belong to its task is left out."""
        optional = ("confusion", "curves", "suggested_thresholds")
        return {key: value for key, value in asdict(self).items() if value is not None or key not in optional}


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
        ImageRefused: an image can't be read, or is not of the size it was labelled at.
    """
    from training.dataset import read_dataset
    from training.metrics.coco import coco_metrics

    with store.reading() as session:
        dataset = read_dataset(session, dataset_name)
    images = _of_split(dataset, split)
    detector = models.detector()
    labels, raw = _detected(models, detector, images, dataset.ontology, progress)
    names = dataset.ontology.names
    evaluation = coco_metrics(labels, raw, names)
    shown = [_as_shown(predictions) for predictions in raw]
    parts, outcomes = _analysed(labels, shown, names, threshold)
    document = EvaluationDocument(
        detector.name, dataset_name, split, evaluation.images, evaluation.metrics, evaluation.per_category, **parts
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
) -> tuple[list["Labels"], list["Predictions"]]:
    """Labels and predictions of all images; the device is held for a few at a time, so that a click gets its turn."""
    from training.metrics.coco import detected

    batch = 1 if detector.device == "cpu" else 8
    labels: list[Labels] = []
    predictions: list[Predictions] = []
    for start in range(0, len(images), batch):
        with models.device():
            part = detected(detector, images[start : start + batch], ontology, batch_size=batch)
        labels += part[0]
        predictions += part[1]
        if progress is not None:
            progress(len(labels), len(images))
    return labels, predictions


def _as_shown(predictions: "Predictions") -> "Predictions":
    """What the page keeps of the raw predictions."""
    import supervision as sv

    from training.metrics.coco import Predictions as Shown

    kept = predictions.scores >= FLOOR
    found = sv.Detections(
        predictions.boxes_xyxy[kept], confidence=predictions.scores[kept], class_id=predictions.classes[kept]
    )
    single = without_doubles(found)
    assert single.class_id is not None and single.confidence is not None
    return Shown(single.xyxy.astype(np.float32), single.class_id.astype(np.int64), single.confidence.astype(np.float32))


def _analysed(
    labels: Sequence["Labels"], predictions: Sequence["Predictions"], names: Sequence[str], threshold: float | None
) -> tuple[dict[str, Any], list["Outcome"]]:
    """The document's parts about thresholds, and what they make of each image."""
    from training.metrics.analysis import IOU, analyse
    from training.metrics.confusion import confusion_matrix, outcome
    from training.metrics.suggested import suggest, thresholds_of

    analysis = analyse(labels, predictions, names)
    suggestions = suggest(analysis)
    thresholds = (
        thresholds_of(analysis.names, suggestions, COMMON_THRESHOLD)
        if threshold is None
        else np.full(len(names), threshold)
    )
    outcomes = [
        outcome(of_image, found, matches, thresholds)
        for of_image, found, matches in zip(labels, predictions, analysis.matches, strict=True)
    ]
    confusion = {
        "names": list(names),
        "matrix": confusion_matrix(labels, predictions, outcomes, len(names)).tolist(),
        "thresholds": dict(zip(names, (round(float(value), 4) for value in thresholds), strict=True)),
        "iou": IOU,
    }
    parts = {
        "confusion": confusion,
        "curves": _curves_json(analysis),
        "suggested_thresholds": {name: _suggestion_json(found) for name, found in suggestions.items()},
    }
    return parts, outcomes


def _curves_json(analysis: "Analysis") -> dict[str, Any]:
    most = max(11, min(MOST_POINTS, ALL_POINTS // max(len(analysis.names), 1)))
    return {
        "all": _curve_json(analysis.pooled.thinned(MOST_POINTS)),
        "per_category": {
            name: _curve_json(curve.thinned(most)) for name, curve in zip(analysis.names, analysis.curves, strict=True)
        },
    }


def _curve_json(curve: "Curve") -> dict[str, Any]:
    values = {"thresholds": curve.thresholds, "precision": curve.precision, "recall": curve.recall, "f1": curve.f1}
    return {"labels": curve.labels} | {key: np.round(value, 4).tolist() for key, value in values.items()}


def _suggestion_json(suggestion: "Suggestion | None") -> dict[str, Any] | None:
    if suggestion is None:
        return None
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(suggestion).items()}


def _view(row: Run, learnt_here: bool) -> EvaluationView:
    return EvaluationView(
        id=row.id,
        measured_at=row.finished_at.isoformat() if row.finished_at else "",
        learnt_from=learnt_here and row.params.get("split") in (None, "train"),
        document=row.result or {},
    )
