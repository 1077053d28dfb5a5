"""The tables: rules live here as named constraints, and each column says its unit."""

from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from common.masks import Rle

Split = Literal["train", "val", "test"]
Source = Literal["person", "model"]
PredictionState = Literal["pending", "accepted", "rejected", "covered"]
RunKind = Literal["train", "label", "evaluate", "import", "export"]
RunState = Literal["queued", "running", "done", "failed", "stopped"]
CaptionKind = Literal["caption", "expression"]
EditKind = Literal["create", "update", "delete", "accept", "reject", "mark", "undo", "redo"]


def utc_now() -> datetime:
    """The present moment, time zone included."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets time zones, so they are taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a zone: it would be read back as another one."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone. Use utc_now().")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say UTC again where the database left it out."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The metadata all tables share; every constraint has a name, so that a migration can change it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this plain attribute
        datetime: UtcDateTime,
        dict[str, Any]: JSON(none_as_null=True),
        Rle: JSON(none_as_null=True),
        list[list[int]]: JSON(none_as_null=True),
    }


def one_of(column: str, choices: Any, name: str, *, nullable: bool = False) -> CheckConstraint:
    """A named rule that `column` holds one of the words of a `Literal`."""
    words = ", ".join(f"'{word}'" for word in get_args(choices))
    return CheckConstraint(f"{column} IS NULL OR {column} IN ({words})" if nullable else f"{column} IN ({words})", name)


class Dataset(Base):
    """Images that are labelled with one set of categories."""

    __tablename__ = "dataset"
    __table_args__ = (CheckConstraint("next_coco_id >= 1", "dataset_next_coco_id_is_positive"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    prompt: Mapped[str | None] = mapped_column(Text)  # the last text typed into the prompt box
    next_coco_id: Mapped[int] = mapped_column(default=1)  # category ids are never given twice, not even after a delete
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Image(Base):
    """One picture, indexed where it lies; its pixels are never copied or rewritten."""

    __tablename__ = "image"
    __table_args__ = (
        UniqueConstraint("dataset_id", "file_name"),
        UniqueConstraint("dataset_id", "path"),
        UniqueConstraint("dataset_id", "position"),
        Index("ix_image_dataset_id_sha256", "dataset_id", "sha256"),
        CheckConstraint("width > 0 AND height > 0", "image_has_area"),
        one_of("split", Split, "image_split_is_known", nullable=True),
        {"sqlite_autoincrement": True},  # an id in the edit log must never come to mean another row
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(Text)  # absolute
    file_name: Mapped[str] = mapped_column(Text)  # posix, relative to the imported folder; the name exports use
    sha256: Mapped[str] = mapped_column(String(64))  # of the file's bytes, lower-case hex
    width: Mapped[int]  # pixels, upright
    height: Mapped[int]  # pixels, upright
    split: Mapped[Split | None] = mapped_column(String(8))
    done_at: Mapped[datetime | None]  # None: not yet marked as fully labelled
    revision: Mapped[int] = mapped_column(default=0)  # number of edits applied so far
    position: Mapped[int]  # order within the dataset, from 0; position + 1 is the COCO image id


class Category(Base):
    """A kind of object; its name is the person's own text, kept verbatim."""

    __tablename__ = "category"
    __table_args__ = (
        UniqueConstraint("dataset_id", "name"),
        UniqueConstraint("dataset_id", "coco_id"),
        CheckConstraint("threshold IS NULL OR (threshold >= 0 AND threshold <= 1)", "category_threshold_is_a_score"),
        CheckConstraint("length(color) = 7", "category_color_is_rrggbb"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    color: Mapped[str] = mapped_column(String(7))  # '#rrggbb'
    coco_id: Mapped[int]  # the id exports use, fixed for life
    threshold: Mapped[float | None]  # score in [0, 1]; None: the page's common one
    phrases: Mapped[list["Phrase"]] = relationship(
        order_by="Phrase.position", cascade="all, delete-orphan", lazy="selectin"
    )


class Phrase(Base):
    """What the detector is asked for when a category is wanted."""

    __tablename__ = "phrase"
    __table_args__ = (UniqueConstraint("category_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
    position: Mapped[int]  # order within the category, from 0


class Annotation(Base):
    """One labelled object on one image: drawn or accepted by a person."""

    __tablename__ = "annotation"
    __table_args__ = (
        CheckConstraint("x1 < x2 AND y1 < y2", "box_has_area"),
        CheckConstraint("score IS NULL OR (score >= 0 AND score <= 1)", "annotation_score_is_a_probability"),
        one_of("source", Source, "annotation_source_is_known"),
        CheckConstraint("source = 'model' OR checkpoint IS NULL", "person_has_no_checkpoint"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)  # made by whoever draws, so that sending twice is harmless
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"), index=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id"), index=True)
    x1: Mapped[float]  # pixels of the upright image, left edge
    y1: Mapped[float]  # pixels, top edge
    x2: Mapped[float]  # pixels, right edge, exclusive
    y2: Mapped[float]  # pixels, bottom edge, exclusive
    rle: Mapped[Rle | None]  # None: box only
    source: Mapped[Source] = mapped_column(String(8))
    score: Mapped[float | None]  # probability in [0, 1]; None: drawn by a person
    checkpoint: Mapped[str | None] = mapped_column(Text)  # the model that proposed it
    prompt: Mapped[str | None] = mapped_column(Text)  # the text it was asked for
    prediction_id: Mapped[int | None] = mapped_column(ForeignKey("prediction.id", ondelete="SET NULL"), index=True)
    iscrowd: Mapped[bool] = mapped_column(default=False)  # COCO: one region that holds a group
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_by: Mapped[str | None] = mapped_column(String(100))
    updated_at: Mapped[datetime | None]


class Prediction(Base):
    """One box a model proposed; it becomes an annotation only when a person accepts it."""

    __tablename__ = "prediction"
    __table_args__ = (
        Index("ix_prediction_image_id_state", "image_id", "state"),
        CheckConstraint("x1 < x2 AND y1 < y2", "box_has_area"),
        CheckConstraint("score >= 0 AND score <= 1", "prediction_score_is_a_probability"),
        CheckConstraint("agreement IS NULL OR (agreement >= 0 AND agreement <= 1)", "prediction_agreement_is_an_iou"),
        one_of("state", PredictionState, "prediction_state_is_known"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"))
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id", ondelete="CASCADE"), index=True)
    x1: Mapped[float]  # pixels of the upright image, as for Annotation
    y1: Mapped[float]
    x2: Mapped[float]
    y2: Mapped[float]
    rle: Mapped[Rle | None]
    score: Mapped[float]  # probability in [0, 1]
    agreement: Mapped[float | None]  # IoU with a second detector's box, 0 where it sees none; None: it was not asked
    checkpoint: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str] = mapped_column(Text)
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("run.id", ondelete="SET NULL"), index=True)
    state: Mapped[PredictionState] = mapped_column(String(8), default="pending")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Look(Base):
    """What a model was asked about an image last: the image's waiting predictions are the answer."""

    __tablename__ = "look"

    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"), primary_key=True)
    question: Mapped[str] = mapped_column(String(64))  # digest of the model, of what was asked, and how
    at: Mapped[datetime] = mapped_column(default=utc_now)


class Caption(Base):
    """A text about one image: a caption whose phrases are boxed, or an expression that means one thing, or nothing."""

    __tablename__ = "caption"
    __table_args__ = (
        UniqueConstraint("image_id", "position"),
        CheckConstraint("length(text) > 0", "caption_has_text"),
        one_of("kind", CaptionKind, "caption_kind_is_known"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)  # verbatim: spans count its characters
    kind: Mapped[CaptionKind] = mapped_column(String(10))
    position: Mapped[int]  # order within the image, from 0


class Region(Base):
    """One box that a phrase of a caption means; an expression without any means nothing on its image."""

    __tablename__ = "region"
    __table_args__ = (
        CheckConstraint("x1 < x2 AND y1 < y2", "box_has_area"),
        CheckConstraint("phrase_index >= 0", "region_phrase_index_counts_from_0"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    caption_id: Mapped[int] = mapped_column(ForeignKey("caption.id", ondelete="CASCADE"), index=True)
    phrase_index: Mapped[int]  # regions of one caption with the same number belong to one phrase
    spans: Mapped[list[list[int]]]  # the phrase's [start, end) in characters of the text, the same in all its regions
    x1: Mapped[float]  # pixels of the upright image, as for Annotation
    y1: Mapped[float]
    x2: Mapped[float]
    y2: Mapped[float]


class Run(Base):
    """One execution of a job, so that it can be watched, stopped and explained."""

    __tablename__ = "run"
    __table_args__ = (one_of("kind", RunKind, "run_kind_is_known"), one_of("state", RunState, "run_state_is_known"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[RunKind] = mapped_column(String(8))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("dataset.id", ondelete="CASCADE"), index=True)
    state: Mapped[RunState] = mapped_column(String(8), default="queued")
    folder: Mapped[str | None] = mapped_column(Text)  # absolute; where the job keeps its files
    pid: Mapped[int | None]  # process on this machine that does it; while queued, that announced it
    params: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)  # one line
    heartbeat_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Checkpoint(Base):
    """Weights with how they were made."""

    __tablename__ = "checkpoint"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    folder: Mapped[str] = mapped_column(Text)  # absolute
    base: Mapped[str] = mapped_column(Text)  # the detector it was fine-tuned from
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("run.id", ondelete="SET NULL"), index=True)
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("dataset.id", ondelete="SET NULL"), index=True)
    metrics: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Promotion(Base):
    """Which checkpoint the page uses: the newest row counts."""

    __tablename__ = "promotion"

    id: Mapped[int] = mapped_column(primary_key=True)
    checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoint.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(default=utc_now)  # checkpoint_id None: back to the starter


class EditLog(Base):
    """Every change a person made, append-only: triggers refuse UPDATE and DELETE."""

    __tablename__ = "edit_log"
    __table_args__ = (
        Index("ix_edit_log_image_id_who_seq", "image_id", "who", "seq"),
        one_of("kind", EditKind, "edit_kind_is_known"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(primary_key=True)  # the order of edits; never the clock
    op_id: Mapped[UUID] = mapped_column(unique=True)  # made by the sender: the same edit sent twice is applied once
    who: Mapped[str] = mapped_column(String(100))
    kind: Mapped[EditKind] = mapped_column(String(8))
    dataset_id: Mapped[int]  # plain numbers, not foreign keys: the log outlives what it tells about
    image_id: Mapped[int | None]
    before: Mapped[dict[str, Any]]  # the touched rows as they were, see annotations/states.py
    after: Mapped[dict[str, Any]]
    undoes: Mapped[int | None]  # undo: the edit taken back; redo: the edit done again
    revision: Mapped[int]  # the image's revision after this edit
    skipped: Mapped[int]  # items that no longer applied
    at: Mapped[datetime] = mapped_column(default=utc_now)
