"""Puts what a reader found into the database, a batch at a time."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from annotations.captions import CaptionText, add_captions, image_captions
from annotations.categories import add_category
from annotations.database import Store
from annotations.datasets import ensure_dataset, free_name, next_position
from annotations.errors import ImportRefused
from annotations.identifiers import ordered_uuids
from annotations.importers.parsed import Parsed, ParsedCaption, ParsedFile, ParsedLabel
from annotations.importers.placing import place, place_caption, size_problem
from annotations.importers.report import Duplicate, ImportReport
from annotations.importers.scan import probe_all
from annotations.models import Annotation, Category, Image, Split, utc_now
from annotations.names import checked_name, printable, shortened
from annotations.skipped import Skipped
from annotations.states import batches
from common.images import ImageInfo

BATCH_IMAGES = 256
"""Images in one transaction: what is in stays in when an import is cut short, and running it again adds the rest."""


def take_in(
    store: Store,
    dataset_name: str,
    parsed: Parsed,
    *,
    split: Split | None,
    who: str,
    progress: Callable[[int, int], None] | None,
) -> ImportReport:
    """Add everything that is good to a dataset, made when missing.

    Images that are there already (same path) are not added again; they get the labels when they have none, and
    those captions that they do not have.

    Raises:
        ImportRefused: another import changed the dataset meanwhile.
        EditRefused: the dataset's name cannot be kept.
    """
    with store.writing() as session:
        dataset_id = ensure_dataset(session, dataset_name).id
        categories = _Categories(session, dataset_id)
        for category in parsed.categories:
            categories.add(category.name, category.coco_id)
        intake = _Intake(session, dataset_id, categories, split, who)
    intake.skipped += [*parsed.skipped, *categories.skipped]
    try:
        done = 0
        for files in batches(parsed.files, BATCH_IMAGES):
            wanted = [file for file in files if not intake.is_complete(file)]
            infos = list(probe_all([file.path for file in wanted]))
            with store.writing() as session:
                intake.add(session, wanted, infos)
            done += len(files)
            if progress is not None:
                progress(done, len(parsed.files))
    except IntegrityError as error:
        raise ImportRefused(
            f"Another import changed {dataset_name!r} meanwhile; what went in stays. Run this one again."
        ) from error
    return intake.report()


class _Categories:
    """The dataset's categories by the names a file uses."""

    def __init__(self, session: Session, dataset_id: int) -> None:
        self._session = session
        self._dataset_id = dataset_id
        rows = session.execute(
            select(Category.name, Category.id, Category.coco_id).where(Category.dataset_id == dataset_id)
        )
        self._ids: dict[str, int] = {}
        self._coco_ids: set[int] = set()
        for name, category_id, coco_id in rows:
            self._ids[name] = category_id
            self._coco_ids.add(coco_id)
        self.added = 0
        self.skipped: list[Skipped] = []

    def add(self, name: str, coco_id: int | None) -> None:
        """Make the category when it is missing; its id is kept when it is free."""
        try:
            name = checked_name(name, "category name")
        except ValueError as error:
            self.skipped.append(Skipped(f"category '{shortened(printable(name))}'", str(error)))
            return
        if name in self._ids:
            return
        if coco_id in self._coco_ids or (coco_id is not None and coco_id >= 2**31):
            coco_id = None
        category = add_category(self._session, self._dataset_id, name, coco_id=coco_id)
        self._ids[name] = category.id
        self._coco_ids.add(category.coco_id)
        self.added += 1

    def find(self, name: str) -> int | None:
        """The id for a name as the file has it."""
        return self._ids.get(name.strip())


@dataclass(frozen=True)
class _KnownImage:
    id: int
    has_labels: bool


class _Intake:
    """One import on its way: what the dataset has, and what was added so far."""

    def __init__(
        self, session: Session, dataset_id: int, categories: _Categories, split: Split | None, who: str
    ) -> None:
        self._dataset_id = dataset_id
        self._categories = categories
        self._split = split
        self._who = who
        self._ids = ordered_uuids()
        self._now = utc_now()
        self._known: dict[str, _KnownImage] = {}
        self._first_by_sha: dict[str, str] = {}
        self._names: set[str] = set()
        self._images = self._annotations = self._captions = self._known_count = 0
        self.skipped: list[Skipped] = []
        self._duplicates: list[Duplicate] = []
        self._clipped: list[Skipped] = []
        has_labels = Image.done_at.is_not(None) | exists().where(Annotation.image_id == Image.id).correlate(Image)
        rows = select(Image.id, Image.path, Image.file_name, Image.sha256, has_labels).where(
            Image.dataset_id == dataset_id
        )
        for image_id, path, name, sha256, labelled in session.execute(rows):
            self._known[path] = _KnownImage(image_id, bool(labelled))
            self._first_by_sha[sha256] = name
            self._names.add(name)

    def report(self) -> ImportReport:
        """What was done."""
        return ImportReport(
            self._images,
            self._annotations,
            self._categories.added,
            self.skipped,
            self._duplicates,
            self._clipped,
            self._known_count,
            self._captions,
        )

    def is_complete(self, file: ParsedFile) -> bool:
        """Whether nothing of this file is missing: the image is there, with labels or with none to add.

        Captions are compared one by one, so a file that brings some is always looked at.
        """
        known = self._known.get(str(file.path.absolute()))
        if known is None or (file.is_labelled and not known.has_labels) or file.captions:
            return False
        self._known_count += 1
        return True

    def add(self, session: Session, files: Sequence[ParsedFile], infos: Sequence[ImageInfo | Skipped]) -> None:
        """Add one batch in the caller's transaction."""
        added: list[tuple[Image, ParsedFile]] = []
        labels: list[dict[str, Any]] = []
        position = next_position(session, self._dataset_id)
        for file, info in zip(files, infos, strict=True):
            if isinstance(info, Skipped):
                self.skipped.append(Skipped(printable(file.file_name), info.reason))
                continue
            known = self._known.get(str(file.path.absolute()))
            if known is not None:
                self._known_count += 1
                labels += self._label_known(session, known, file, info)
            elif info.sha256 in self._first_by_sha:
                self._duplicates.append(Duplicate(printable(file.file_name), self._first_by_sha[info.sha256]))
            else:
                added.append((self._new_image(file, info, position + len(added)), file))
        session.add_all(image for image, _ in added)
        session.flush()  # gives the images their ids
        for image, file in added:
            self._known[image.path] = _KnownImage(image.id, file.is_labelled)
            if self._fits(image, file):
                labels += self._label_rows(image, file)
                self._add_captions(session, image, file)
        if labels:
            session.execute(insert(Annotation), labels)
        self._images += len(added)
        self._annotations += len(labels)

    def _new_image(self, file: ParsedFile, info: ImageInfo, position: int) -> Image:
        name = free_name(file.file_name, self._names)
        self._names.add(name)
        self._first_by_sha[info.sha256] = name
        return Image(
            dataset_id=self._dataset_id,
            path=str(file.path.absolute()),
            file_name=name,
            sha256=info.sha256,
            width=info.width,
            height=info.height,
            split=self._split or file.split,
            position=position,
        )

    def _label_known(
        self, session: Session, known: _KnownImage, file: ParsedFile, info: ImageInfo
    ) -> list[dict[str, Any]]:
        image = session.get_one(Image, known.id)
        if image.sha256 != info.sha256:
            self.skipped.append(Skipped(printable(file.file_name), "the file changed since it was imported"))
            return []
        image.split = self._split or file.split or image.split
        self._known[image.path] = _KnownImage(known.id, known.has_labels or file.is_labelled)
        if not self._fits(image, file):
            return []
        self._add_captions(session, image, file)
        return [] if known.has_labels else self._label_rows(image, file)

    def _fits(self, image: Image, file: ParsedFile) -> bool:
        """Whether the labels were made on this image; reported when not."""
        problem = size_problem(file, _info(image))
        if problem is not None and (file.labels or file.captions):
            self.skipped.append(Skipped(printable(file.file_name), problem))
        return problem is None

    def _label_rows(self, image: Image, file: ParsedFile) -> list[dict[str, Any]]:
        """Rows for the labels that fit; the image counts as labelled when somebody looked at it, even in vain."""
        if file.is_labelled:
            image.done_at = self._now
        return list(self._rows(image.id, file, _info(image)))

    def _add_captions(self, session: Session, image: Image, file: ParsedFile) -> None:
        """Add the captions that the image does not have."""
        if not file.captions:
            return
        there = {text.content for text in image_captions(session, image.id)}
        new: dict[Hashable, CaptionText] = {}
        for caption in file.captions:
            placed = place_caption(caption, _info(image))
            if isinstance(placed, str):
                self.skipped.append(_about_caption(file, caption, placed))
                continue
            content = placed.text.content
            if content in new:
                self.skipped.append(_about_caption(file, caption, "another line says the same of this image"))
            elif content not in there:
                new[content] = placed.text
                if placed.clip is not None:
                    self._clipped.append(_about_caption(file, caption, placed.clip))
        self._captions += len(add_captions(session, image.id, list(new.values())))

    def _rows(self, image_id: int, file: ParsedFile, info: ImageInfo) -> Iterator[dict[str, Any]]:
        for label in file.labels:
            category_id = self._categories.find(label.category)
            if category_id is None:
                self.skipped.append(_about(file, label, "its category is unknown or was left out"))
                continue
            placed = place(label, info, fractions=file.fractions)
            if isinstance(placed, str):
                self.skipped.append(_about(file, label, placed))
                continue
            if placed.note is not None:
                self.skipped.append(_about(file, label, placed.note))
            if placed.clip is not None:
                self._clipped.append(_about(file, label, placed.clip))
            yield {
                "id": next(self._ids),
                "image_id": image_id,
                "category_id": category_id,
                "x1": placed.xyxy[0],
                "y1": placed.xyxy[1],
                "x2": placed.xyxy[2],
                "y2": placed.xyxy[3],
                "rle": placed.rle,
                "source": "person",
                "iscrowd": label.iscrowd,
                "created_by": self._who,
                "created_at": self._now,
            }


def _about(file: ParsedFile, label: ParsedLabel, reason: str) -> Skipped:
    return Skipped(f"{printable(file.file_name)}: {label.where} ({shortened(printable(label.category))})", reason)


def _about_caption(file: ParsedFile, caption: ParsedCaption, reason: str) -> Skipped:
    return Skipped(f"{printable(file.file_name)}: {caption.where} ({shortened(printable(caption.text))})", reason)


def _info(image: Image) -> ImageInfo:
    return ImageInfo(image.width, image.height, image.sha256, "")
