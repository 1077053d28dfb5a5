"""Detections on the images of a dataset, kept as predictions for review."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from annotations import queries
from annotations.database import Store
from annotations.datasets import set_prompt
from annotations.models import Image
from annotations.predictions import NewPrediction, save_predictions
from annotations.shapes import Box
from app.services.jobs import Job, Jobs
from app.services.models import Models
from app.services.questions import Question, adopted, answers
from app.services.turns import NoLongerWanted, Urgency
from common.boxes import Boxes
from common.images import ImageRefused, ImageRGB, read_indexed
from common.masks import Rle, encode_mask

if TYPE_CHECKING:
    import supervision as sv

    from engine.grounding import GroundingDetector

MASKED = 60
"""At most so many detections of an image get a mask, the best first: each costs time."""

SHORT = 4
"""Somebody who asks about so many images waits for them."""


@dataclass(frozen=True)
class Target:
    """One image to be labelled."""

    id: int
    file_name: str
    path: Path
    width: int  # upright pixels, as imported
    height: int


@dataclass(frozen=True)
class Found:
    """One box on an image, not stored yet."""

    category: int  # index into the question's categories
    xyxy: Box
    score: float
    rle: Rle | None


class Labeller:
    """Runs the detector over images of a dataset; what it finds is stored as predictions, never as annotations."""

    def __init__(self, store: Store, models: Models, jobs: Jobs) -> None:
        self._store = store
        self._models = models
        self._jobs = jobs
        self._looked_at: int | None = None  # the image the segmenter holds: a second click skips its encoder

    def start(self, dataset_id: int, asked: Question, image_ids: Sequence[int] | None, *, masks: bool) -> UUID:
        """Queue a detection over some images (None: all of the dataset) and answer the job's id."""
        is_short = image_ids is not None and len(image_ids) <= SHORT
        urgency = Urgency.PAGE if is_short else Urgency.BATCH
        work = partial(self.run, dataset_id, asked, image_ids, masks=masks, batch=1, urgency=urgency)
        return self._jobs.start(work, is_short=is_short)

    def run(
        self,
        dataset_id: int,
        asked: Question,
        image_ids: Sequence[int] | None,
        job: Job,
        *,
        masks: bool = False,
        batch: int = 4,
        urgency: Urgency = Urgency.BATCH,
    ) -> dict[str, object]:
        """Detect on the images one batch after the other, each stored when it is done.

        A broken image is skipped with its reason. When the job is asked to stop, what is stored stays.
        A referring expression becomes a category only where something fits it.
        """
        with self._store.writing() as session:
            dataset = queries.dataset_by_id(session, dataset_id)
            category_ids: tuple[int, ...] = ()
            if asked.task != "refer":
                asked, category_ids = adopted(session, dataset, asked)
            if asked.task == "detect":
                set_prompt(session, dataset_id, asked.text)
            targets = _targets(session, dataset_id, image_ids)
        job.progress(0, len(targets))
        done = 0
        for group, images in self._read_ahead(targets, batch):
            if job.should_stop:
                break
            good = _readable(group, images, job)
            try:
                with self._models.device(urgency, lambda: not job.should_stop):
                    by, found = self._find([image for _, image in good], asked, masks)
            except NoLongerWanted:
                break
            if not category_ids and any(found):
                category_ids = self._category_ids(dataset_id, asked)
            for (target, _), boxes in zip(good, found, strict=True):
                new = [NewPrediction(category_ids[box.category], box.xyxy, box.score, box.rle) for box in boxes]
                with self._store.writing() as session:
                    save_predictions(session, target.id, new, checkpoint=by, prompt=asked.text)
                job.image_done(target.id, len(new))
            done += len(group)
            job.progress(done, len(targets))
        return {"images": done, "prompt": asked.text, "task": asked.task, "detector": self._models.current()}

    def segment(
        self,
        image_id: int,
        boxes: Sequence[Sequence[float]] | None,
        points: Sequence[Sequence[float]] | None,
        labels: Sequence[int] | None,
    ) -> list[Rle]:
        """Masks for boxes, or one mask for points (label 1: on the object, 0: not on it)."""
        with self._store.reading() as session:
            image = queries.image_by_id(session, image_id)
        with self._models.device(Urgency.CLICK):
            segmenter = self._models.segmenter()
            if self._looked_at != image_id:
                self._looked_at = None
                segmenter.set_image(read_indexed(Path(image.path), image.width, image.height))
                self._looked_at = image_id
            masks = segmenter.predict(
                boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4) if boxes else None,
                points_xy=np.array([points], np.float32) if points else None,
                point_labels=np.array([labels], np.int64) if points else None,
            )
        return [encode_mask(mask) for mask in masks]

    def _read_ahead(
        self, targets: Sequence[Target], batch: int
    ) -> Iterator[tuple[list[Target], list[ImageRGB | ImageRefused]]]:
        """Batches of targets with their pixels, the next batch being decoded while this one is used."""
        groups = [list(targets[start : start + batch]) for start in range(0, len(targets), batch)]
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode") as pool:
            coming = None
            for group, following in zip(groups, [*groups[1:], []], strict=True):
                images = coming.result() if coming else _read(group)
                coming = pool.submit(_read, following)
                yield group, images

    def _find(self, images: Sequence[ImageRGB], asked: Question, masks: bool) -> tuple[str, list[list[Found]]]:
        """The detector's name, and what it finds on each image; without an image nobody is asked."""
        if not images:
            return "", []
        detector = cast("GroundingDetector", self._models.detector())
        found = answers(detector, images, asked)
        return detector.name, [
            self._with_masks(image, detections, masks) for image, detections in zip(images, found, strict=True)
        ]

    def _with_masks(self, image: ImageRGB, detections: "sv.Detections", masks: bool) -> list[Found]:
        """The detections, the best first; the first `MASKED` of them with a mask when asked for."""
        if detections.confidence is None or detections.class_id is None or not len(detections):
            return []
        order = (-detections.confidence).argsort(kind="stable")
        boxes = detections.xyxy[order].astype(np.float32)
        rles: list[Rle | None] = [None] * len(order)
        if masks:
            rles[:MASKED] = self._masks(image, boxes[:MASKED])
        return [
            Found(int(class_id), (x1, y1, x2, y2), float(score), rle)
            for class_id, (x1, y1, x2, y2), score, rle in zip(
                detections.class_id[order], boxes.tolist(), detections.confidence[order], rles, strict=True
            )
        ]

    def _category_ids(self, dataset_id: int, asked: Question) -> tuple[int, ...]:
        with self._store.writing() as session:
            return adopted(session, queries.dataset_by_id(session, dataset_id), asked)[1]

    def _masks(self, image: ImageRGB, boxes: Boxes) -> list[Rle]:
        """The mask of each box, encoded a few at a time: sixty masks of a 100-megapixel picture take 6 GB unpacked."""
        from engine.segmenters.base import masks_at_once

        segmenter = self._models.segmenter()
        self._looked_at = None
        segmenter.set_image(image)
        size = masks_at_once(image)
        parts = (boxes[start : start + size] for start in range(0, len(boxes), size))
        return [encode_mask(mask) for part in parts for mask in segmenter.predict(boxes_xyxy=part)]


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


def _readable(
    group: Sequence[Target], images: Sequence[ImageRGB | ImageRefused], job: Job
) -> list[tuple[Target, ImageRGB]]:
    """The targets with pixels; the others are skipped with their reason."""
    good: list[tuple[Target, ImageRGB]] = []
    for target, image in zip(group, images, strict=True):
        if isinstance(image, ImageRefused):
            job.skip(target.file_name, str(image))
        else:
            good.append((target, image))
    return good


def _read(group: Sequence[Target]) -> list[ImageRGB | ImageRefused]:
    return [_read_one(target) for target in group]


def _read_one(target: Target) -> ImageRGB | ImageRefused:
    try:
        return read_indexed(target.path, target.width, target.height)
    except ImageRefused as refused:
        return refused
