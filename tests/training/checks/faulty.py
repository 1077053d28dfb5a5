"""Datasets with faults, put straight into a store: what an import or an older version may have left there."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image as Picture

from annotations.categories import PALETTE
from annotations.database import Store
from annotations.models import Annotation, Category, Dataset, Image, Phrase, Split

Box = tuple[int, float, float, float, float]  # index of the category, x1, y1, x2, y2

BALL: Box = (0, 10, 10, 60, 60)
CAR: Box = (1, 40, 20, 90, 80)


@dataclass(frozen=True)
class Photo:
    """One image with its boxes; `picture` is the seed of what is on it."""

    name: str
    boxes: Sequence[Box] = (BALL, CAR)
    split: Split | None = "train"
    picture: int = 0
    size: tuple[int, int] = (160, 96)
    done: bool = True


def photos(count: int, split: Split = "train", start: int = 0) -> list[Photo]:
    """`count` images without a fault, each with a picture of its own."""
    return [Photo(f"{split}-{index}.png", split=split, picture=start + index) for index in range(count)]


def clean(train: int = 10, val: int = 2) -> list[Photo]:
    """A dataset that nothing can be said against: each category is absent from one of the images to learn from."""
    first, second, *others = photos(train)
    return [replace(first, boxes=[BALL]), replace(second, boxes=[CAR]), *others, *photos(val, "val", start=1000)]


def add_dataset(
    store: Store,
    folder: Path,
    images: Sequence[Photo],
    categories: Sequence[tuple[str, Sequence[str]]] = (("blue ball", ()), ("red car", ())),
    *,
    name: str = "shelf",
    prompt: str | None = None,
) -> int:
    """Write the pictures and the rows; answers the dataset's id."""
    folder.mkdir(parents=True, exist_ok=True)
    with store.writing() as session:
        dataset = Dataset(name=name, prompt=prompt)
        session.add(dataset)
        session.flush()
        rows = []
        for number, (title, phrases) in enumerate(categories, start=1):
            row = Category(dataset_id=dataset.id, name=title, color=PALETTE[number % len(PALETTE)], coco_id=number)
            row.phrases = [Phrase(text=text, position=place) for place, text in enumerate(phrases or (title,))]
            session.add(row)
            rows.append(row)
        session.flush()
        for position, photo in enumerate(images):
            path = folder / photo.name
            _draw(photo, path)
            image = Image(
                dataset_id=dataset.id,
                path=str(path),
                file_name=photo.name,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                width=photo.size[0],
                height=photo.size[1],
                split=photo.split,
                position=position,
                done_at=datetime.now(UTC) if photo.done else None,
            )
            session.add(image)
            session.flush()
            for class_id, x1, y1, x2, y2 in photo.boxes:
                box = Annotation(id=uuid4(), x1=x1, y1=y1, x2=x2, y2=y2, source="person", created_by="test")
                box.image_id, box.category_id = image.id, rows[class_id].id
                session.add(box)
        return dataset.id


def _draw(photo: Photo, path: Path) -> None:
    width, height = photo.size
    rng = np.random.default_rng(photo.picture)
    coarse = Picture.fromarray(rng.integers(0, 255, (12, 20, 3), dtype=np.uint8))
    coarse.resize((width, height), Picture.Resampling.BICUBIC).save(path)
