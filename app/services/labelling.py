"""Detections on the images of a dataset, kept as predictions for review."""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from annotations import queries
from annotations.database import Store
from annotations.datasets import set_prompt
from annotations.looks import answered, save_look
from annotations.models import Image, Prediction
from annotations.predictions import NewPrediction, save_predictions
from app.services.finds import Found, best_first, compared, finds_of
from app.services.gathering import Gathering, IsWanted
from app.services.jobs import Job, Jobs, Stopped
from app.services.models import Models
from app.services.ordering import OrderedWriter, batches_by_kind
from app.services.outlining import Outliner
from app.services.questions import FLOOR, Question, adopted, answers
from app.services.turns import NoLongerWanted, Urgency
from common.images import ImageRefused
from common.masks import encode_mask

if TYPE_CHECKING:
    import supervision as sv

    from app.services.reading import Read
    from engine.detector import BatchDetector
    from engine.preprocessing import AnyPicture, Preprocessing
    from engine.recovery import RecoveringDetector

MASKED = 60
"""At most so many detections of an image get a mask, the best first: each costs time."""

SHORT = 4
"""Somebody who asks about so many images waits for them."""

_WAY = 1  # raised when the same question to the same weights is answered otherwise than before
_WINDOW = 4  # batches of images that may wait for others of their shape
_MOST_READERS = 8


@dataclass(frozen=True)
class Target:
    """One image to be labelled."""

    id: int
    file_name: str
    path: Path
    width: int  # upright pixels, as imported
    height: int


@dataclass(frozen=True)
class Method:
    """How images are looked at.

    Attributes:
        masks: what is found is outlined, too.
        tiles: small things on large images are looked for in tiles of this side in pixels; 0: what suits the detector;
            None: not.
        second: name of another detector that is asked the same; each find then says how far the two agree, and what
            the other alone is sure of is a find, too.
    """

    masks: bool = False
    tiles: int | None = None
    second: str | None = None

    @property
    def reads_whole(self) -> bool:
        """Whether images are needed as they are, not shrunk to what the detector reads."""
        return self.masks or self.tiles is not None or self.second is not None


WHOLE = Method()
"""Boxes alone, of each image looked at as a whole."""


@dataclass(frozen=True)
class Answer:
    """What was found on an image; None: it could not be read."""

    target: Target
    found: tuple[Found, ...] | None


@dataclass
class Course:
    """One labelling under way.

    Attributes:
        second: another detector that is asked the same, to see where the two agree.
        urgency: of each pass.
        category_ids: of the question's categories; none yet of an expression that fits nothing so far.
        digest: of all that the answers depend on.
        done: images that are finished, those of an earlier run too.
        model_seconds: spent in the detector and the segmenter.
    """

    dataset_id: int
    asked: Question
    detector: "RecoveringDetector"
    second: "RecoveringDetector | None"
    category_ids: tuple[int, ...]
    digest: str
    method: Method
    urgency: Urgency
    job: Job
    total: int
    done: int = 0
    model_seconds: float = 0.0


class Labeller:
    """Runs the detector over images of a dataset; what it finds is stored as predictions, never as annotations.

    Other processes read and shrink the images ahead of the detector, which looks at those of one shape together;
    a thread stores the answers in the images' order. What is stored stays whatever happens next, and the same question
    to the same weights is not asked twice about an image.
    """

    def __init__(self, store: Store, models: Models, jobs: Jobs, outliner: Outliner) -> None:
        self._store = store
        self._models = models
        self._jobs = jobs
        self._outliner = outliner
        self._gathering: Gathering[AnyPicture, tuple[Found, ...]] = Gathering()

    def start(
        self,
        dataset_id: int,
        asked: Question,
        image_ids: Sequence[int] | None,
        method: Method,
        *,
        again: bool | None = None,
    ) -> UUID:
        """Queue a detection over some images (None: all of the dataset) and answer the job's id."""
        is_short = image_ids is not None and len(image_ids) <= SHORT
        urgency = Urgency.PAGE if is_short else Urgency.BATCH
        work = partial(self.run, dataset_id, asked, image_ids, method=method, urgency=urgency, again=again)
        return self._jobs.start(work, is_short=is_short)

    def run(
        self,
        dataset_id: int,
        asked: Question,
        image_ids: Sequence[int] | None,
        job: Job,
        *,
        method: Method = WHOLE,
        batch: int | None = None,
        urgency: Urgency = Urgency.BATCH,
        again: bool | None = None,
    ) -> dict[str, object]:
        """Detect on the images, each stored with all before it.

        A broken image is skipped with its reason. When the job is asked to stop, what is stored stays.
        A referring expression becomes a category only where something fits it.

        Args:
            dataset_id: of the images.
            asked: what to look for.
            image_ids: which images; None: all of the dataset.
            job: hears of the progress.
            method: how to look.
            batch: images of one shape that the detector looks at together; None: as many as it likes.
            urgency: of each batch.
            again: also images whose waiting predictions are the answer to this very question of these very weights;
                None: only where images are named.

        Raises:
            Stopped: the job was asked to stop before the detector was at hand.
        """
        try:
            detector = self._models.detector(is_wanted=lambda: not job.should_stop)
            second = method.second and self._models.second(method.second, lambda: not job.should_stop)
        except NoLongerWanted as gone:
            raise Stopped from gone
        weights = [self._models.fingerprint(one.name) for one in (detector, second) if one]
        with self._store.writing() as session:
            dataset = queries.dataset_by_id(session, dataset_id)
            category_ids: tuple[int, ...] = ()
            if asked.task != "refer":
                asked, category_ids = adopted(session, dataset, asked)
            if asked.task == "detect":
                set_prompt(session, dataset_id, asked.text)
            targets = _targets(session, dataset_id, image_ids)
            digest = self._digest(weights, asked, category_ids, method)
            is_again = image_ids is not None if again is None else again
            known = frozenset[int]() if is_again else answered(session, dataset_id, digest)
            waiting = _waiting(session, dataset_id, known)
        job.found_before(waiting)
        todo = [target for target in targets if target.id not in known]
        already = len(targets) - len(todo)
        course = Course(
            *(dataset_id, asked, detector, second or None, category_ids, digest, method, urgency, job),
            total=len(targets),
            done=already,
        )
        job.progress(course.done, course.total)
        started = time.monotonic()
        self._label(course, todo, 1 if method.tiles is not None else batch or detector.batch_size)
        return {
            "images": course.done,
            "already": already,
            "prompt": asked.text,
            "task": asked.task,
            "detector": detector.name,
            **({"second": second.name} if second else {}),
            "seconds": round(time.monotonic() - started, 3),
            "model_seconds": round(course.model_seconds, 3),
        }

    def _label(self, course: Course, todo: Sequence[Target], size: int) -> None:
        """The images one batch after the other."""
        resizing = None if course.method.reads_whole else course.detector.resizing
        numbers = count()
        with OrderedWriter(partial(self._save, course)) as writer:

            def good() -> Iterator[tuple[int, Target, "AnyPicture"]]:
                for target, image in _read(todo, resizing, course.detector.device):
                    number = next(numbers)
                    if isinstance(image, ImageRefused):
                        course.job.skip(target.file_name, str(image))
                        writer.put(number, Answer(target, None))
                    else:
                        yield number, target, image

            for group in batches_by_kind(good(), lambda one: _shape(one[2], course.detector), size, _WINDOW * size):
                if course.job.should_stop:
                    break
                try:
                    found = self._in_turn(course, [image for _, _, image in group], size)
                except NoLongerWanted:
                    break
                for (number, target, _), boxes in zip(group, found, strict=True):
                    writer.put(number, Answer(target, boxes))

    def _in_turn(self, course: Course, images: "Sequence[AnyPicture]", size: int) -> Sequence[tuple[Found, ...]]:
        """What is found on images of one shape, when the device is free; others' images may go with them.

        Raises:
            NoLongerWanted: the job was stopped before it was its turn.
        """
        return self._gathering.ask(
            (
                *(course.urgency, id(course.detector), course.asked, course.method),
                _shape(images[0], course.detector),
            ),
            images,
            lambda together: self._find(course, together),
            room=size,
            turn=partial(self._turn, course),
            is_wanted=lambda: not course.job.should_stop,
        )

    def _turn(self, course: Course, is_wanted: IsWanted) -> AbstractContextManager[None]:
        """The device for one pass; in tiles it is taken for each of many."""
        return nullcontext() if course.method.tiles is not None else self._models.device(course.urgency, is_wanted)

    def _find(self, course: Course, images: "Sequence[AnyPicture]") -> list[tuple[Found, ...]]:
        """What is found on each image, the best first."""
        started = time.monotonic()
        notes = len(course.detector.notes)
        found = answers(self._looking(course, course.detector), images, course.asked)
        for note in course.detector.notes[notes:]:
            course.job.note(note)
        results = [self._boxes(course, image, each) for image, each in zip(images, found, strict=True)]
        if course.second is not None:
            others = answers(self._looking(course, course.second), images, course.asked)
            results = [
                compared(own, finds_of(each), course.second.name) for own, each in zip(results, others, strict=True)
            ]
        course.model_seconds += time.monotonic() - started
        return results

    def _looking(self, course: Course, detector: "RecoveringDetector") -> "BatchDetector":
        """The detector, which in tiles takes a turn for each pass: there may be hundreds of an image."""
        if course.method.tiles is None:
            return detector
        from engine.tiles import TiledDetector

        turn = partial(self._models.device, course.urgency, lambda: not course.job.should_stop)
        return TiledDetector(detector, course.method.tiles or None, turn=turn)

    def _boxes(self, course: Course, image: "AnyPicture", detections: "sv.Detections") -> tuple[Found, ...]:
        """The detections, the best first; the first `MASKED` of them with a mask when asked for."""
        found, masked = finds_of(detections), best_first(detections)[:MASKED]
        if not course.method.masks or not found:
            return tuple(found)
        if detections.mask is not None:
            rles = [encode_mask(np.asarray(detections.mask[place])) for place in masked]
        else:
            assert isinstance(image, np.ndarray), "images are read whole where masks are wanted"
            with self._models.device(course.urgency):
                rles = self._outliner.outlines(image, detections.xyxy[masked].astype(np.float32))
        return tuple(replace(box, rle=rle) for box, rle in zip_longest(found, rles))

    def _save(self, course: Course, ready: Sequence[Answer]) -> None:
        """Store answers in one transaction, then tell of them."""
        asked = course.asked
        waiting: list[tuple[int, int]] = []  # ids of images, and how many predictions wait on each
        with self._store.writing() as session:
            if not course.category_ids and any(answer.found for answer in ready):
                dataset = queries.dataset_by_id(session, course.dataset_id)
                course.category_ids = adopted(session, dataset, asked)[1]
            for target, found in ((answer.target, answer.found) for answer in ready):
                if found is None:
                    continue
                rows = [_row(box, course.category_ids) for box in found]
                by = course.detector.name
                number = save_predictions(session, target.id, rows, checkpoint=by, prompt=asked.text)
                save_look(session, target.id, course.digest)
                waiting.append((target.id, number))
        for image_id, number in waiting:
            course.job.image_done(image_id, number)
        course.done += len(ready)
        course.job.progress(course.done, course.total)

    def _digest(self, weights: Sequence[str], asked: Question, category_ids: Sequence[int], method: Method) -> str:
        """Equal where the answers would be: of the weights, the question, and how it is asked."""
        everything = {
            "way": _WAY,
            "weights": list(weights),
            "task": asked.task,
            "text": asked.text,
            "ontology": asdict(asked.ontology),
            "categories": list(category_ids),
            "floor": FLOOR,
            "masks": self._models.segmenter_name if method.masks else None,
            "tiles": method.tiles,
        }
        return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def _read(targets: Sequence[Target], resizing: "Preprocessing | None", device: str) -> "Iterator[tuple[Target, Read]]":
    """The targets with their pixels, in order; many are read ahead by other processes."""
    from app.services.reading import Readers, Wanted, read

    wanted = [Wanted(target.path, target.width, target.height, resizing) for target in targets]
    if len(wanted) <= SHORT:
        yield from zip(targets, map(read, wanted), strict=True)
        return
    spare = (os.cpu_count() or 2) - 1
    workers = 1 if device == "cpu" else max(1, min(spare, _MOST_READERS))  # a CPU is busy with the model
    with Readers(workers) as readers:
        yield from zip(targets, readers.read(wanted), strict=True)


def _row(box: Found, category_ids: Sequence[int]) -> NewPrediction:
    return NewPrediction(category_ids[box.category], box.xyxy, box.score, box.rle, box.agreement, box.by)


def _shape(image: "AnyPicture", detector: "BatchDetector") -> tuple[int, int]:
    """Images of equal ones can be looked at together."""
    height, width = image.shape[:2]
    return detector.resizing.resized_hw(height, width) if detector.resizing else (height, width)


def _targets(session: Session, dataset_id: int, image_ids: Sequence[int] | None) -> list[Target]:
    """The images of a dataset in order, only those asked for when ids are given."""
    columns = (Image.id, Image.file_name, Image.path, Image.width, Image.height)
    rows = session.execute(select(*columns).where(Image.dataset_id == dataset_id).order_by(Image.position))
    wanted = None if image_ids is None else set(image_ids)
    return [
        Target(id, name, Path(path), width, height)
        for id, name, path, width, height in rows
        if wanted is None or id in wanted
    ]


def _waiting(session: Session, dataset_id: int, image_ids: frozenset[int]) -> int:
    """How many predictions wait for review on these images of a dataset."""
    if not image_ids:
        return 0
    rows = session.execute(
        select(Prediction.image_id, func.count())
        .join(Image)
        .where(Image.dataset_id == dataset_id, Prediction.state == "pending")
        .group_by(Prediction.image_id)
    )
    return sum(number for image_id, number in rows if image_id in image_ids)
