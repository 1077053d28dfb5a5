"""Batches of pictures with prompts and the masks that answer them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.segmenter.materials import Materials
from training.segmenter.model import SegmenterSize
from training.segmenter.nameless import OwnedPicture, nameless_picture
from training.segmenter.prompts import SMALLEST_PX, PicturePrompts, picture_prompts
from training.starter.batches import pixels_of
from training.worlds.concepts import THINGS
from training.worlds.rules import CROWDED_RULES, SceneRules
from training.worlds.scenes import render_scene
from training.worlds.textures import Rng

_LARGE = SceneRules(min_objects=1, max_objects=6, smallest=0.25, largest=0.9, max_overlap=0.4, cut_share=0.3)
_WORLDS = (SceneRules(), SceneRules(), SceneRules(max_overlap=0.5), CROWDED_RULES, _LARGE)
_ASPECTS = (1.0, 4 / 3, 4 / 3, 3 / 2, 16 / 9, 3 / 4, 2 / 3)  # width : height
_LARGER = 1.5  # at most, pictures are rendered so much larger than the input and then reduced
_SCALES = (0.8, 2.0)  # of pictures of which a part is shown, times the input
_AROUND = (1.3, 3.0)  # side of such a part, times the longer side of the thing in its middle
_SMALLEST_PART_PX = 24
_OFF = 0.1  # deviation of the thing's centre from that of the part, times the part's side


@dataclass(frozen=True)
class MaskBatchRules:
    """How batches are made; shares are probabilities."""

    pictures: int = 4
    boxes: int = 5  # prompts of a box a picture
    clicks: int = 3  # prompts of points alone a picture
    corrected_share: float = 0.25  # batches whose boxes come with points
    nameless_share: float = 0.6  # pictures of figures without names instead of scenes
    close_share: float = 0.75  # pictures of which only the surroundings of one thing are shown
    size: SegmenterSize = field(default_factory=SegmenterSize)


@dataclass(frozen=True)
class Asked:
    """Prompts and their answers.

    Attributes:
        boxes_xyxy: (B, N, 4) float pixels of the input, or None.
        points_xy: (B, N, P, 2) float pixels of the input, or None.
        labels: (B, N, P) long, or None without points.
        masks: (B, N, m, m) float, the share of each cell of the logits that the thing covers.
    """

    boxes_xyxy: Tensor | None
    points_xy: Tensor | None
    labels: Tensor | None
    masks: Tensor


@dataclass(frozen=True)
class MaskBatch:
    """Pictures ready for training.

    Attributes:
        pixels: (B, 3, S, S) float, normalised, padded with 0 at the right and below.
        owners: (B, m, m) long, whose each cell of the logits is, 0 for nobody's.
        by_box: prompts with a box.
        by_clicks: prompts of points alone.
    """

    pixels: Tensor
    owners: Tensor
    by_box: Asked
    by_clicks: Asked


class MaskBatches(Dataset[MaskBatch]):
    """Batch i is decided by the seed and i alone, so that a training can stop and go on as if it had not."""

    def __init__(self, rules: MaskBatchRules, seed: int, first: int, end: int) -> None:
        self.rules, self.seed = rules, seed
        self.first, self.end = first, end

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, index: int) -> MaskBatch:
        cv2.setNumThreads(0)
        rng = np.random.default_rng((self.seed, 5, self.first + index))
        rules = self.rules
        materials = Materials.drawn(rng)
        corrected = bool(rng.random() < rules.corrected_share)
        points = int(rng.integers(1, 3 if corrected else 4))
        pictures: list[OwnedPicture] = []
        prompts: list[PicturePrompts] = []
        while len(pictures) < rules.pictures:
            picture = _drawn(rng, rules, materials)
            asked = picture_prompts(rng, picture.owner, rules.boxes, rules.clicks, points)
            if asked is not None:
                pictures.append(picture)
                prompts.append(asked)
        pixels, masks = _padded(pictures, rules.size.side), [_cells(picture, rules.size) for picture in pictures]
        return MaskBatch(pixels, _owners(masks), _by_box(prompts, masks, corrected), _by_clicks(prompts, masks))


def load(batches: MaskBatches, workers: int = 1) -> Iterator[MaskBatch]:
    """The batches in order, rendered ahead in `workers` processes (0: in this one)."""
    yield from DataLoader(batches, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)


def _drawn(rng: Rng, rules: MaskBatchRules, materials: Materials) -> OwnedPicture:
    """A whole picture or the surroundings of a thing, at the size of the input."""
    side = rules.size.side
    is_close = bool(rng.random() < rules.close_share)
    nameless = bool(rng.random() < rules.nameless_share)
    if is_close:
        longest = round(side * rng.uniform(*_SCALES))
        return _fitted(_closer(rng, _picture(rng, longest, nameless, materials)), side)
    longest = side if nameless else round(side * rng.uniform(0.9, _LARGER))
    return _fitted(_picture(rng, longest, nameless, materials), side)


def _picture(rng: Rng, longest: int, nameless: bool, materials: Materials) -> OwnedPicture:
    aspect = float(rng.choice(_ASPECTS))
    if nameless:
        return nameless_picture(rng, _size_hw(longest, aspect), materials)
    scene_rules = _WORLDS[rng.integers(len(_WORLDS))]
    scene = render_scene(rng, _size_hw(longest, aspect), range(len(THINGS)), scene_rules)
    return OwnedPicture(scene.image, scene.owner)


def _closer(rng: Rng, picture: OwnedPicture) -> OwnedPicture:
    """The part around a thing, as a segmenter sees it that looks closely; the whole where nothing is large enough."""
    counts = np.bincount(picture.owner.ravel())
    things = np.flatnonzero(counts >= SMALLEST_PX)
    things = things[things > 0]
    if not len(things):
        return picture
    x, y, width, height = cv2.boundingRect((picture.owner == rng.choice(things)).astype(np.uint8))
    side = max(max(width, height) * rng.uniform(*_AROUND), _SMALLEST_PART_PX)
    centre = np.array([x + width / 2, y + height / 2]) + rng.normal(0, _OFF, 2) * side
    left, top = np.maximum(np.floor(centre - side / 2), 0).astype(int)
    right, bottom = np.ceil(centre + side / 2).astype(int)
    return OwnedPicture(picture.image[top:bottom, left:right], picture.owner[top:bottom, left:right])


def _size_hw(longest: int, aspect: float) -> tuple[int, int]:
    shortest = round(longest / max(aspect, 1 / aspect))
    return (shortest, longest) if aspect >= 1 else (longest, shortest)


def _fitted(picture: OwnedPicture, side: int) -> OwnedPicture:
    """Scaled so that the longer side fits the input."""
    height, width = picture.owner.shape
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    if size == (width, height):
        return picture
    image = cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return OwnedPicture(image, cv2.resize(picture.owner, size, interpolation=cv2.INTER_NEAREST))


def _padded(pictures: list[OwnedPicture], side: int) -> Tensor:
    pixels = torch.zeros(len(pictures), 3, side, side)
    for square, picture in zip(pixels, pictures, strict=True):
        height, width = picture.owner.shape
        square[:, :height, :width] = pixels_of(picture.image[None])[0]
    return pixels.contiguous(memory_format=torch.channels_last)


def _cells(picture: OwnedPicture, size: SegmenterSize) -> dict[int, NDArray[np.float32]]:
    """The share of each cell (m, m) of the logits that each thing covers."""
    owner = np.zeros((size.side, size.side), np.uint8)
    owner[: picture.owner.shape[0], : picture.owner.shape[1]] = picture.owner
    shares = {}
    for thing in np.unique(owner).tolist():
        mask = cv2.compare(owner, float(thing), cv2.CMP_EQ)
        small = cv2.resize(mask, (size.mask_side, size.mask_side), interpolation=cv2.INTER_AREA)
        shares[thing] = small.astype(np.float32) / 255
    return shares


def _owners(masks: list[dict[int, NDArray[np.float32]]]) -> Tensor:
    numbered = [np.array(list(of))[np.argmax(np.stack(list(of.values())), 0)] for of in masks]
    return torch.from_numpy(np.stack(numbered).astype(np.int64))


def _by_box(prompts: list[PicturePrompts], masks: list[dict[int, NDArray[np.float32]]], corrected: bool) -> Asked:
    boxes = torch.from_numpy(np.stack([prompt.boxes_xyxy for prompt in prompts]))
    answers = _answers([prompt.box_owners for prompt in prompts], masks)
    if not corrected:
        return Asked(boxes, None, None, answers)
    points = torch.from_numpy(np.stack([prompt.box_points_xy for prompt in prompts]))
    labels = torch.from_numpy(np.stack([prompt.box_labels for prompt in prompts]))
    return Asked(boxes, points, labels, answers)


def _by_clicks(prompts: list[PicturePrompts], masks: list[dict[int, NDArray[np.float32]]]) -> Asked:
    points = torch.from_numpy(np.stack([prompt.points_xy for prompt in prompts]))
    labels = torch.from_numpy(np.stack([prompt.labels for prompt in prompts]))
    return Asked(None, points, labels, _answers([prompt.click_owners for prompt in prompts], masks))


def _answers(owners: list[NDArray[np.int64]], masks: list[dict[int, NDArray[np.float32]]]) -> Tensor:
    """(B, N, m, m)."""
    chosen = [np.stack([of[thing] for thing in things.tolist()]) for things, of in zip(owners, masks, strict=True)]
    return torch.from_numpy(np.stack(chosen))
