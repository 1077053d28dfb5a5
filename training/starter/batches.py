"""Batches of rendered scenes that share a size: with one prompt for all, or a text about each."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from training.starter.casting import Cast
from training.starter.prompts import PromptWriter, TrainingPrompt
from training.starter.texts import WrittenText, normalised, written_text
from training.targets import Targets
from training.worlds import CONCEPTS, Scene, SceneRules, render_scene
from training.worlds.expressions import Kind
from training.worlds.relations import TextRules, relation_scene, scene_texts, things_of
from training.worlds.textures import Rng

# ImageNet's, in RGB on a scale of 0 to 1: what transformers' preprocessing expects by default.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MULTIPLE_OF_PX = 32  # of both sides: the cells of all levels but the coarsest then end where the picture ends

# Sides and relations are learnt slowest, and best where one picture comes with several of them.
_KINDS: tuple[Kind, ...] = ("name", "relation", "relation", "relation", "side", "side", "side", "size")
_TEXTS = TextRules(captions=1, expressions=8, absent_share=0.15, kinds=_KINDS)
_SIZES = 1  # marks the stream of sizes, which all processes share
_LARGE = (0.4, 1.4)  # sides of large things, parts of the picture's shorter side
_LARGE_CUT_SHARE = 0.5  # of them that may reach over the edge, as on photos
_NATURAL_SHARE = 0.85  # of the things drawn from many: concepts in their own colours


@dataclass(frozen=True)
class SceneBatch:
    """Scenes ready for training.

    Attributes:
        pixels: (B, 3, H, W) float, normalised, channels last in memory.
        input_ids: (1, T) long, the prompt of all; or (B, T), a text for each, padded with 0.
        text_mask: bool, of the same shape, false where padded.
        targets: one per scene, only of the things that its text names.
        unnamed: for each scene (N, 4) cxcywh in [0, 1] of the things that a shared prompt does not name.
        names: (K, T) bool, the tokens of each phrase of the shared prompt; with a text for each scene one such tensor
            for each, as wide as its text.
    """

    pixels: Tensor
    input_ids: Tensor
    text_mask: Tensor
    targets: list[Targets]
    unnamed: list[Tensor]
    names: Tensor | list[Tensor]

    def to(self, device: torch.device) -> "SceneBatch":
        """The same batch on another device."""
        if device.type == "cpu":
            return self
        return SceneBatch(
            self.pixels.to(device),
            self.input_ids.to(device),
            self.text_mask.to(device),
            [targets.to(device) for targets in self.targets],
            [boxes.to(device) for boxes in self.unnamed],
            self.names.to(device) if isinstance(self.names, Tensor) else [names.to(device) for names in self.names],
        )


@dataclass(frozen=True)
class BatchRules:
    """How batches are made; sizes in pixels, shares are probabilities."""

    scenes: int = 16  # pictures in a batch; with a text for each, a scene counts once for each of its texts
    longest: tuple[int, ...] = (192, 224, 256, 288, 320, 320)  # longer side, drawn from these
    drawn: tuple[float, float] = (1.0, 1.0)  # part of its size that a batch is drawn at, at least and at most
    aspects: tuple[float, ...] = (1.0, 4 / 3, 4 / 3, 3 / 2, 16 / 9, 3 / 4, 2 / 3)  # width : height
    unnamed_share: float = 0.6  # scenes that also show things the prompt does not name
    rival_share: float = 0.5  # of these things, those that share a noun with the prompt
    kinds: tuple[int, int] = (2, 6)  # named kinds of things in a scene, at least and at most
    objects: tuple[int, int] = (3, 10)
    large_share: float = 0.0  # scenes with one or two things that may fill them; a text about a scene needs more
    empty_share: float = 0.1  # scenes that show nothing the prompt names
    told_share: float = 0.3  # batches with a text about each scene
    texts: int = 4  # about each scene of such a batch
    scene: SceneRules = field(default_factory=SceneRules)


class SceneBatches(Dataset[SceneBatch]):
    """The batches of steps `first` to `end`: each is decided by the seed and its step alone, so that a training can
    stop and go on as if it had not.

    Of several processes each has batches of its own, of the same size in a step, so that none waits for another.
    """

    def __init__(
        self, prompts: PromptWriter, rules: BatchRules, seed: int, first: int, end: int, *, rank: int = 0
    ) -> None:
        self.prompts, self.rules, self.seed, self.rank = prompts, rules, seed, rank
        self.first, self.end = first, end

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, index: int) -> SceneBatch:
        step = self.first + index
        # Not (seed, step): to numpy that is (seed, step, 0), the stream of the first process.
        size_hw = _size_hw(np.random.default_rng((self.seed, step, 0, _SIZES)), self.rules)
        rng = np.random.default_rng((self.seed, step, self.rank))
        part = rng.uniform(*self.rules.drawn)
        drawn_hw = (round(part * size_hw[0]), round(part * size_hw[1]))
        told = rng.random() < self.rules.told_share
        batch = self._told(rng, drawn_hw) if told else self._listed(rng, drawn_hw)
        return batch if drawn_hw == size_hw else replace(batch, pixels=_resized(batch.pixels, size_hw))

    def _listed(self, rng: Rng, size_hw: tuple[int, int]) -> SceneBatch:
        cast, prompt = self.prompts.draw(rng)
        scenes = [self._scene(rng, cast, prompt, size_hw) for _ in range(self.rules.scenes)]
        return SceneBatch(
            pixels_of(np.stack([scene.image for scene in scenes])),
            prompt.input_ids[None],
            torch.ones(1, len(prompt.input_ids), dtype=torch.bool),
            [targets_of(scene, prompt) for scene in scenes],
            [_unnamed(scene, prompt) for scene in scenes],
            prompt.names,
        )

    def _scene(self, rng: Rng, cast: Cast, prompt: TrainingPrompt, size_hw: tuple[int, int]) -> Scene:
        named = [phrase.things for phrase in prompt.phrases if phrase.things]
        low, high = self.rules.kinds
        count = 0 if rng.random() < self.rules.empty_share else int(rng.integers(low, high + 1))
        kinds = [_shown(rng, named[place]) for place in rng.permutation(len(named))[:count].tolist()]
        if rng.random() < self.rules.unnamed_share or not kinds:
            for _ in range(int(rng.integers(1, max(len(kinds), 1) + 2))):
                rival = cast.rivals and rng.random() < self.rules.rival_share
                kinds.append(_shown(rng, cast.rivals if rival else cast.others))
        fewest, most = self.rules.objects if len(kinds) > 2 else (1, 6)
        rules = replace(self.rules.scene, min_objects=fewest, max_objects=most)
        if rng.random() < self.rules.large_share:
            rules = replace(rules, min_objects=1, max_objects=2, cut_share=_LARGE_CUT_SHARE)
            rules = replace(rules, smallest=_LARGE[0], largest=_LARGE[1])
        return render_scene(rng, size_hw, kinds, rules)

    def _told(self, rng: Rng, size_hw: tuple[int, int]) -> SceneBatch:
        """Each scene comes with several texts, so that the same picture is answered in several ways."""
        images: list[NDArray[np.uint8]] = []
        texts: list[WrittenText] = []
        while len(images) < self.rules.scenes:
            scene = relation_scene(rng, size_hw)
            told = scene_texts(rng, things_of(scene), _TEXTS)
            wanted = min(self.rules.texts, self.rules.scenes - len(images))
            for place in rng.permutation(len(told))[:wanted].tolist():
                images.append(scene.image)
                texts.append(written_text(told[place], self.prompts.tokenizer, size_hw))
        input_ids = pad_sequence([text.input_ids for text in texts], batch_first=True)
        return SceneBatch(
            pixels_of(np.stack(images)),
            input_ids,
            input_ids > 0,
            [text.targets for text in texts],
            [],
            [text.phrases for text in texts],
        )


def load(batches: SceneBatches, workers: int = 1) -> Iterator[SceneBatch]:
    """The batches in order, rendered ahead in `workers` processes (0: in this one)."""
    yield from DataLoader(batches, batch_size=None, num_workers=workers, prefetch_factor=8 if workers else None)


def pixels_of(images: NDArray[np.uint8]) -> Tensor:
    """(B, 3, H, W) normalised float of (B, H, W, 3) uint8."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    return pixels.contiguous(memory_format=torch.channels_last)


def _resized(pixels: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """As preprocessing resizes a picture that is not of the working size."""
    resized = F.interpolate(pixels, size_hw, mode="bilinear", align_corners=False, antialias=True)
    return resized.contiguous(memory_format=torch.channels_last)


def targets_of(scene: Scene, prompt: TrainingPrompt) -> Targets:
    """The things of a scene that the prompt names."""
    labels = scene.labels.tolist()
    named = [index for index, label in enumerate(labels) if label in prompt.phrase_of]
    boxes = normalised(scene.boxes_xyxy[named], scene.image.shape[:2])
    return Targets(boxes, prompt.positive_map([labels[index] for index in named]))


def _unnamed(scene: Scene, prompt: TrainingPrompt) -> Tensor:
    others = [index for index, label in enumerate(scene.labels.tolist()) if label not in prompt.phrase_of]
    return normalised(scene.boxes_xyxy[others], scene.image.shape[:2])


def _shown(rng: Rng, things: tuple[int, ...]) -> int:
    """One of them, which are in ascending order: mostly a concept in its own colours, though there are many tints."""
    natural = bisect_left(things, len(CONCEPTS))
    if natural and rng.random() < _NATURAL_SHARE:
        return things[rng.integers(natural)]
    return things[rng.integers(len(things))]


def _size_hw(rng: Rng, rules: BatchRules) -> tuple[int, int]:
    """Sizes as the starter's preprocessing gives them: the longer side is at most 4/3 of the shorter one's limit."""
    longest = int(rng.choice(rules.longest))
    aspect = float(rng.choice(rules.aspects))
    wide = max(aspect, 1 / aspect)
    long_side = min(longest, 0.75 * longest * wide)
    short, long = (round(side / MULTIPLE_OF_PX) * MULTIPLE_OF_PX for side in (long_side / wide, long_side))
    return (short, long) if aspect >= 1 else (long, short)
