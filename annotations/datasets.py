"""Datasets and the images in them: made, found, added to."""

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from annotations.errors import EditRefused, NotFound
from annotations.models import Dataset, Image, Split
from annotations.names import checked_name, is_inside, printable
from common.images import ImageInfo


def create_dataset(session: Session, name: str) -> Dataset:
    """A new, empty dataset.

    Raises:
        EditRefused: the name is taken or cannot be kept.
    """
    try:
        name = checked_name(name, "dataset name")
    except ValueError as error:
        raise EditRefused(str(error)) from error
    if find_dataset(session, name) is not None:
        raise EditRefused(f"There already is a dataset {name!r}. Choose another name.")
    dataset = Dataset(name=name)
    session.add(dataset)
    session.flush()
    return dataset


def ensure_dataset(session: Session, name: str) -> Dataset:
    """The dataset of this name, made when missing."""
    return find_dataset(session, name.strip()) or create_dataset(session, name)


def find_dataset(session: Session, name: str) -> Dataset | None:
    """The dataset of exactly this name, if there is one."""
    return session.scalar(select(Dataset).where(Dataset.name == name))


def set_prompt(session: Session, dataset_id: int, prompt: str | None) -> None:
    """Remember the text of the prompt box."""
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound(f"There is no dataset {dataset_id}. Reload the page.")
    dataset.prompt = prompt


def add_image(
    session: Session, dataset_id: int, path: Path, file_name: str, info: ImageInfo, split: Split | None = None
) -> Image:
    """Index one image file where it lies.

    Args:
        session: a unit of work that writes.
        dataset_id: where it belongs.
        path: the file; stored absolute.
        file_name: the posix name it shall have in the dataset; numbered when it is taken.
        info: as `common.images.probe_image` found it.
        split: train, val, test or none.

    Raises:
        EditRefused: the same content, or the same file, is in the dataset already; or the name leaves its folder.
    """
    if not is_inside(file_name):
        raise EditRefused(f"{printable(file_name)!r} is not a file name within a folder. Rename the file.")
    same = session.scalar(
        select(Image.file_name).where(
            Image.dataset_id == dataset_id, (Image.sha256 == info.sha256) | (Image.path == str(path.absolute()))
        )
    )
    if same is not None:
        raise EditRefused(f"{file_name!r} has the same content as {same!r}, which is in the dataset already.")
    taken = session.scalars(select(Image.file_name).where(Image.dataset_id == dataset_id))
    image = Image(
        dataset_id=dataset_id,
        path=str(path.absolute()),
        file_name=free_name(file_name, set(taken)),
        sha256=info.sha256,
        width=info.width,
        height=info.height,
        split=split,
        position=next_position(session, dataset_id),
    )
    session.add(image)
    session.flush()
    return image


def next_position(session: Session, dataset_id: int) -> int:
    """The place after the last image."""
    last = session.scalar(select(func.max(Image.position)).where(Image.dataset_id == dataset_id))
    return 0 if last is None else last + 1


def free_name(file_name: str, taken: Collection[str]) -> str:
    """The name, numbered where it is taken: a/b.jpg becomes a/b-2.jpg."""
    path = PurePosixPath(file_name)
    name, number = file_name, 1
    while name in taken:
        number += 1
        name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
    return name
