"""A tiny dataset on disk, blue and red squares on grey, with a tiny random detector to learn it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotations.models import Split
from annotations.queries import LabelledImage
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from engine.preprocessing import Preprocessing
from tests.tiny_checkpoint import Backbone, tiny_model, tiny_tokenizer
from training.config import TrainConfig
from training.data import BatchMaker, resized_to
from training.metrics.coco import evaluate_detector
from training.sources import Source
from training.trainer import Progress, train
from training.vocabulary import PromptSampler

ONTOLOGY = Ontology.from_names(["blue ball", "red car"])
COLOURS = ((30, 30, 220), (220, 30, 30))

QUICK = TrainConfig(
    mode="closed",
    steps=4,
    batch_size=2,
    learning_rate=2e-3,
    backbone_multiplier=1.0,
    warmup=0.25,
    validate_every=2,
    save_every_s=0,
    log_every=1,
    ema_decay=0.9,
    denoising=4,
    crop=0.0,
)


def teach(
    detector: GroundingDetector,
    images: list[LabelledImage],
    config: TrainConfig = QUICK,
    validation: list[LabelledImage] | None = None,
    **more: Any,
) -> Iterator[Progress]:
    """`training.trainer.train` on these images, validated on themselves unless others are given."""
    measured = images if validation is None else validation
    batches = batches_of(detector, images, config)
    return train(detector, batches, lambda: evaluate_detector(detector, measured, ONTOLOGY), config, **more)


def batches_of(detector: GroundingDetector, images: list[LabelledImage], config: TrainConfig) -> BatchMaker:
    """The batches of all these images, at the size the taught detector will work at."""
    max_tokens = int(detector.model.config.max_text_len)
    prompts = PromptSampler(ONTOLOGY, detector.tokenizer, config.mode, config.negatives, max_tokens)
    own = detector.preprocessing
    preprocessing = resized_to(own, config.short_side_px) if config.short_side_px else own
    return BatchMaker([Source(images, prompts)], preprocessing, config)


def tiny_grounding_detector(backbone: Backbone = "resnet", seed: int = 0) -> GroundingDetector:
    """About 100,000 random weights; images are 96 px on their short side."""
    return GroundingDetector(tiny_model(backbone=backbone, seed=seed), tiny_tokenizer(), Preprocessing(96, 160))


def squares(folder: Path, count: int, split: Split | None = None) -> list[LabelledImage]:
    """`count` PNG images of three shapes, each with one or two squares of 40 px; ids from 1."""
    rng = np.random.default_rng(0)
    return [_image(folder, index, split, rng) for index in range(count)]


def _image(folder: Path, index: int, split: Split | None, rng: np.random.Generator) -> LabelledImage:
    height, width = 96, 96 + 16 * (index % 3)
    pixels = rng.integers(90, 100, (height, width, 3), dtype=np.uint8)
    boxes, classes = [], []
    for _ in range(1 + index % 2):
        x, y = int(rng.integers(0, width - 45)), int(rng.integers(0, 50))
        class_id = int(rng.integers(2))
        pixels[y : y + 40, x : x + 40] = COLOURS[class_id]
        boxes.append([x, y, x + 40, y + 40])
        classes.append(class_id)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{index}.png"
    Image.fromarray(pixels).save(path)
    return labelled(index + 1, str(path), width, height, boxes, classes, split)


def labelled(
    id_: int,
    path: str,
    width: int,
    height: int,
    boxes: list[list[int]],
    classes: list[int],
    split: Split | None = None,
) -> LabelledImage:
    """One image's labels, its categories as indices."""
    return LabelledImage(
        id=id_,
        path=path,
        file_name=Path(path).name,
        width=width,
        height=height,
        split=split,
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        category_ids=np.array(classes, np.int64),
        rles=[None] * len(boxes),
        iscrowd=np.zeros(len(boxes), np.bool_),
        done=True,
    )
