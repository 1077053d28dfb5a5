"""How well a detector grounds the captions and expressions of a dataset, and does on public benchmarks."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from annotations import queries
from annotations.captions import captioned_images
from annotations.database import Store
from annotations.errors import NotFound
from annotations.models import Split
from app.services.evaluation_document import EvaluationDocument, left_out
from app.services.models import Models
from common.images import ImageRefused

if TYPE_CHECKING:
    from training.metrics.public import Place

TextTask = Literal["ground", "refer"]
_KINDS: Mapping[TextTask, str] = {"ground": "caption", "refer": "expression"}


def evaluate_captions(
    store: Store,
    models: Models,
    dataset_name: str,
    split: Split | None,
    task: TextTask,
    *,
    threshold: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationDocument:
    """Score the current detector on the texts of a dataset, as `training.metrics.captions` does.

    Args:
        store: where the dataset is.
        models: the detector in use is measured.
        dataset_name: which dataset.
        split: None: all its images with texts.
        task: "ground": the phrases of captions; "refer": expressions.
        threshold: from which score on a box answers an expression; None: that of published numbers.
        progress: called with (texts done, texts in all).

    Raises:
        NotFound: no such dataset, or no such text in the split.
        ImageRefused: none of the texts, or of their images, can be read. Single ones are left out, and counted.
    """
    from training.measuring import Pictures, phrase_samples, referring_samples
    from training.metrics.captions import evaluate_expressions, evaluate_phrases
    from training.metrics.referring import THRESHOLD

    with store.reading() as session:
        dataset_id = queries.dataset_by_name(session, dataset_name).id
        images = captioned_images(session, dataset_id, split)
    phrases = phrase_samples(images) if task == "ground" else []
    expressions = referring_samples(images) if task == "refer" else []
    if not (phrases or expressions):
        where = f"the {split!r} split of {dataset_name!r}" if split else f"dataset {dataset_name!r}"
        raise NotFound(f"There is no {_KINDS[task]} in {where}: import some with --format odvg, or choose another.")
    chosen = THRESHOLD if threshold is None else threshold
    picture_of, refused = Pictures(images), list[str]()
    detector = models.detector()
    with models.device():
        if task == "ground":
            found = evaluate_phrases(detector, phrases, picture_of, progress=progress, on_skip=refused.append)
        else:
            found = evaluate_expressions(
                detector, expressions, picture_of, threshold=chosen, progress=progress, on_skip=refused.append
            )
    if not found.images:
        raise ImageRefused(f"None of the {len(refused)} texts can be asked for. The first: {refused[0]}")
    count = len(picture_of.read)
    return EvaluationDocument(
        detector.name,
        dataset_name,
        split,
        count,
        found.metrics,
        found.per_category,
        task=task,
        skipped=left_out(refused),
    )


def evaluate_benchmark(
    models: Models,
    place: "Place",
    *,
    threshold: float | None = None,
    parallel: bool = False,
    thirteen: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationDocument:
    """Score the current detector on a public benchmark's files; nothing is imported. See `read_public`.

    Raises:
        LayoutRefused: a file is not of the layout.
        ImageRefused: a picture can't be read, or is not of the size its labels say.
    """
    from training.metrics.public import TASKS, read_public
    from training.metrics.referring import THRESHOLD

    chosen = THRESHOLD if threshold is None else threshold
    measure = read_public(place, threshold=chosen, parallel=parallel, thirteen=thirteen)  # before weights are loaded
    detector = models.detector()
    with models.device():
        found = measure(detector, progress)
    name = f"{place.layout} {place.annotations.name}"
    task = TASKS[place.layout]
    return EvaluationDocument(detector.name, name, None, found.images, found.metrics, found.per_category, task=task)
