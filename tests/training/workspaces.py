"""A workspace on disk with a dataset of coloured squares and a tiny detector to teach."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from annotations.categories import ensure_categories
from annotations.database import Store
from annotations.models import Annotation, Dataset, Image, Split
from tests.tiny_checkpoint import save_tiny_checkpoint
from tests.training.coloured_squares import squares
from training.job import TrainRequest

QUICK_SETTINGS = (
    "batch_size=2",
    "learning_rate=0.002",
    "backbone_multiplier=1",
    "validate_every=2",
    "save_every_s=0",
    "log_every=1",
    "ema_decay=0.9",
    "crop=0",
)


@dataclass(frozen=True)
class Bench:
    """Where the store, the workspace and the detector are."""

    store: Store
    root: Path
    detector: Path

    def request(self, dataset: str = "squares", steps: int = 4, **more: object) -> TrainRequest:
        """A training of four steps."""
        chosen = {"source": self.detector, "mode": "closed", "settings": QUICK_SETTINGS, "device": "cpu"} | more
        return TrainRequest(dataset, "tiny", steps=steps, **chosen)  # type: ignore[arg-type]


def make_bench(root: Path) -> Bench:
    """A fresh workspace at `root`, its dataset still to be made."""
    root.mkdir(parents=True, exist_ok=True)
    return Bench(Store.open(root / "groundwork.db"), root, save_tiny_checkpoint(root / "tiny", backbone="resnet"))


def add_squares(
    bench: Bench, train: int, val: int = 0, test: int = 0, *, name: str = "squares", labels: bool = True
) -> int:
    """A dataset of so many images of each split; its id. Without `labels` the images are bare."""
    images = squares(bench.root / f"images of {name.replace('/', '_')}", train + val + test)
    counts: tuple[tuple[Split, int], ...] = (("train", train), ("val", val), ("test", test))
    splits = [split for split, count in counts for _ in range(count)]
    with bench.store.writing() as session:
        dataset = Dataset(name=name)
        session.add(dataset)
        session.flush()
        rows = ensure_categories(session, dataset.id, [("blue ball", ()), ("red car", ())])
        for position, (image, split) in enumerate(zip(images, splits, strict=True)):
            row = Image(
                dataset_id=dataset.id,
                path=image.path,
                file_name=image.file_name,
                sha256=hashlib.sha256(f"{name} {position}".encode()).hexdigest(),
                width=image.width,
                height=image.height,
                split=split,
                position=position,
            )
            session.add(row)
            session.flush()
            boxes = zip(image.boxes_xyxy.tolist(), image.category_ids.tolist(), strict=True) if labels else ()
            for (x1, y1, x2, y2), class_id in boxes:
                session.add(
                    Annotation(
                        id=uuid4(),
                        image_id=row.id,
                        category_id=rows[class_id].id,
                        x1=x1,
                        y1=y1,
                        x2=x2,
                        y2=y2,
                        source="person",
                        created_by="test",
                    )
                )
        return dataset.id
