"""Images that the training of a dataset neither learns from nor is measured on."""

from dataclasses import dataclass

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session, aliased

from annotations.models import Annotation, Caption, Image


@dataclass(frozen=True)
class SpareImage:
    """An image a detector may be asked about; width and height in upright pixels."""

    id: int
    dataset_id: int
    path: str
    width: int
    height: int


def spare_images(session: Session, dataset_id: int) -> list[SpareImage]:
    """Images of this dataset without labels or captions, then those of the other datasets, each file once.

    Left out: images of a `val` or `test` split of any dataset, and files that are also a labelled image here.
    """
    labelled = or_(
        Image.done_at.is_not(None),
        exists().where(Annotation.image_id == Image.id).correlate(Image),
        exists().where(Caption.image_id == Image.id).correlate(Image),
    )
    other = aliased(Image)
    kept_apart = select(other.sha256).where(other.split.in_(["val", "test"]))
    taught = select(Image.sha256).where(Image.dataset_id == dataset_id, labelled)
    rows = session.execute(
        select(Image.id, Image.dataset_id, Image.path, Image.width, Image.height, Image.sha256)
        .where(Image.sha256.not_in(kept_apart), Image.sha256.not_in(taught))
        .order_by(Image.dataset_id != dataset_id, Image.dataset_id, Image.position)
    )
    first: dict[str, SpareImage] = {}
    for row in rows:
        first.setdefault(row.sha256, SpareImage(row.id, row.dataset_id, row.path, row.width, row.height))
    return list(first.values())
