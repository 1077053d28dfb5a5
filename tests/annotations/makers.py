"""Rows for tests, made in one line each."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from annotations.database import Store
from annotations.models import Category, Dataset, EditLog, Image


def edit_log_row() -> EditLog:
    return EditLog(
        op_id=uuid4(), who="ada", kind="mark", dataset_id=1, image_id=1, before={}, after={}, revision=1, skipped=0
    )


@dataclass(frozen=True)
class Scene:
    """Ids of a dataset with one 100 x 80 px image and the categories cat and dog."""

    dataset_id: int
    image_id: int
    cat: int
    dog: int


def make_scene(store: Store, name: str = "pets") -> Scene:
    with store.writing() as session:
        dataset = Dataset(name=name, next_coco_id=3)
        session.add(dataset)
        session.flush()
        image = make_image(session, dataset.id, 0)
        cat = Category(dataset_id=dataset.id, name="cat", color="#ff0000", coco_id=1)
        dog = Category(dataset_id=dataset.id, name="dog", color="#00ff00", coco_id=2)
        session.add_all([cat, dog])
        session.flush()
        return Scene(dataset.id, image.id, cat.id, dog.id)


def make_image(session: Session, dataset_id: int, position: int, width: int = 100, height: int = 80) -> Image:
    image = Image(
        dataset_id=dataset_id,
        path=f"/pictures/{dataset_id}/{position}.png",
        file_name=f"{position}.png",
        sha256=f"{position:064x}",
        width=width,
        height=height,
        position=position,
    )
    session.add(image)
    session.flush()
    return image


def number(n: int) -> UUID:
    """A readable annotation or operation id."""
    return UUID(int=n)
