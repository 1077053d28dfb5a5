"""How well a detector finds what people annotated in a dataset."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from annotations.database import Store
from annotations.errors import NotFound
from app.services.models import Models


@dataclass(frozen=True)
class EvaluationDocument:
    """What `evaluate --json` prints."""

    detector: str
    dataset: str
    split: str | None
    images: int
    metrics: Mapping[str, float | None]
    per_category: Mapping[str, Mapping[str, float | None]]

    def as_json(self) -> dict[str, object]:
        """The document with plain values."""
        return asdict(self)


def evaluate_dataset(
    store: Store,
    models: Models,
    dataset_name: str,
    split: str | None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationDocument:
    """Score the current detector on the annotated images of a dataset, all its categories in the prompt.

    Raises:
        NotFound: no such dataset, or nothing annotated in the split.
    """
    from training.dataset import read_dataset
    from training.metrics.coco import evaluate_detector

    with store.reading() as session:
        dataset = read_dataset(session, dataset_name)
    images = dataset.of_split(split)
    if not images:
        where = f"the {split!r} split of {dataset_name!r}" if split else f"dataset {dataset_name!r}"
        raise NotFound(f"There are no annotated images in {where}: annotate some, or choose another --split.")
    detector = models.detector()
    with models.device():
        evaluation = evaluate_detector(detector, images, dataset.ontology, progress=progress)
    return EvaluationDocument(
        detector.name, dataset_name, split, evaluation.images, evaluation.metrics, evaluation.per_category
    )
