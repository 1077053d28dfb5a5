"""What the contenders learn: rendered scenes of new things and photos of blood cells, both from the starter."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import PreTrainedTokenizerBase

from annotations.database import Store
from annotations.importers.doors import import_path
from annotations.queries import LabelledImage
from engine.checkpoints import STARTER, load_grounding_detector
from engine.grounding import GroundingDetector
from engine.ontology import Category, Ontology
from engine.preprocessing import Preprocessing
from training.config import TrainConfig
from training.data import BatchMaker
from training.dataset import read_dataset, split_for_training
from training.sources import Source
from training.vocabulary import PromptSampler
from training.worlds.concepts import CONCEPTS, UNTAUGHT
from training.worlds.scenes import SceneRules, render_scene

SIZES_HW = ((192, 256), (256, 192), (208, 208))  # of a scene, in pixels
_KNOWN = 8  # concepts that are shown among the new things
_SHOWN = (
    *range(len(CONCEPTS), len(CONCEPTS) + len(UNTAUGHT)),
    *range(0, len(CONCEPTS), -(-len(CONCEPTS) // _KNOWN)),
)
_RULES = SceneRules(max_objects=7)


@dataclass(frozen=True)
class Task:
    """Images to learn from and to measure on, and where the detector begins.

    Attributes:
        name: in tables.
        start: a detector of its own for each contender, with equal weights.
        config: everything the contenders share.
    """

    name: str
    start: Callable[[], GroundingDetector]
    train: list[LabelledImage]
    validation: list[LabelledImage]
    ontology: Ontology
    config: TrainConfig


def batches_of(
    images: Sequence[LabelledImage],
    ontology: Ontology,
    preprocessing: Preprocessing,
    tokenizer: PreTrainedTokenizerBase,
    config: TrainConfig,
) -> BatchMaker:
    """The trainer's own batches of these images."""
    prompts = PromptSampler(ontology, tokenizer, config.mode, config.negatives)
    return BatchMaker([Source(images, prompts)], preprocessing, config)


def blood_cells(store: Store, folder: Path, config: TrainConfig) -> Task:
    """Photos of blood cells (Pascal VOC with its own splits), learnt by the starter: its first photos ever.

    Raises:
        ImportRefused: the folder holds no such dataset.
    """
    import_path(store, "bccd", folder)
    with store.reading() as session:
        dataset = read_dataset(session, "bccd")
    splits = split_for_training(dataset, config.hold_out, config.seed)
    start = load_grounding_detector(STARTER, device="cpu", name="starter")
    return Task("bccd", _copies(start), splits.train, splits.validation, dataset.ontology, config)


def rendered_scenes(folder: Path, config: TrainConfig, *, train: int = 300, validation: int = 96) -> Task:
    """Scenes of things that the starter was never shown, among things it was, learnt by the starter.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    ontology = Ontology(tuple(Category(concept.name) for concept in UNTAUGHT))
    images = [_written_scene(folder, number, config.seed) for number in range(train + validation)]
    start = load_grounding_detector(STARTER, device="cpu", name="starter")
    return Task("scenes", _copies(start), images[:train], images[train:], ontology, config)


def _copies(start: GroundingDetector) -> Callable[[], GroundingDetector]:
    def copied() -> GroundingDetector:
        return GroundingDetector(
            copy.deepcopy(start.model), start.tokenizer, start.preprocessing, name=start.name, device="cpu"
        )

    return copied


def _written_scene(folder: Path, number: int, seed: int) -> LabelledImage:
    """One scene as an image file; what it shows beside the new things is left without labels."""
    rng = np.random.default_rng((seed, number))
    scene = render_scene(rng, SIZES_HW[rng.integers(len(SIZES_HW))], _SHOWN, _RULES)
    path = folder / f"{number:04}.png"
    Image.fromarray(scene.image).save(path)
    new = scene.labels >= len(CONCEPTS)
    classes = scene.labels[new] - len(CONCEPTS)
    height, width = scene.image.shape[:2]
    return LabelledImage(
        id=number,
        path=str(path),
        file_name=path.name,
        width=width,
        height=height,
        split=None,
        boxes_xyxy=scene.boxes_xyxy[new],
        category_ids=classes,
        rles=[None] * len(classes),
        iscrowd=np.zeros(len(classes), np.bool_),
        done=True,
    )
