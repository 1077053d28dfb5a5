"""Which images a model has looked at, so that the same is not asked twice; an image without a find counts too."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from annotations.models import Image, Look


def save_look(session: Session, image_id: int, question: str) -> None:
    """The image's waiting predictions are the answer to this question now.

    Args:
        question: a digest of all that the answer depends on: the model, what it was asked, and how.
    """
    session.execute(delete(Look).where(Look.image_id == image_id))
    session.add(Look(image_id=image_id, question=question))


def answered(session: Session, dataset_id: int, question: str) -> frozenset[int]:
    """Ids of the dataset's images whose last answer was to this question."""
    rows = select(Look.image_id).join(Image).where(Image.dataset_id == dataset_id, Look.question == question)
    return frozenset(session.scalars(rows))
