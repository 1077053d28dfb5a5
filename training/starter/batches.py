"""Batches of rendered scenes that share a size and a prompt."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.starter.prompts import PromptWriter, TrainingPrompt
from training.targets import Targets
from training.worlds import CONCEPTS, Scene, SceneRules, render_scene

# ImageNet's, in RGB on a scale of 0 to 1: what transformers' preprocessing expects by default.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class SceneBatch:
    """Scenes ready for training.

    Attributes:
        pixels: (B, 3, H, W) float, normalised, channels last in memory.
        input_ids: (1, T) long, the prompt of all.
        targets: one per scene, only of the things that the prompt names.
        names: (K, T) bool, the tokens of each concept in the prompt.
    """

    pixels: Tensor
    input_ids: Tensor
    targets: list[Targets]
    names: Tensor


@dataclass(frozen=True)
class BatchRules:
    """How batches are made; sizes in pixels, shares are probabilities."""

    scenes: int = 16
    longest: tuple[int, ...] = (160, 192, 224, 256, 256)  # longer side, drawn from these
    aspects: tuple[float, ...] = (1.0, 4 / 3, 4 / 3, 3 / 2, 16 / 9, 3 / 4, 2 / 3)  # width : height
    unnamed_share: float = 0.5  # scenes that also show things the prompt does not name
    kinds: tuple[int, int] = (2, 6)  # named kinds of things in a scene, at least and at most
    empty_share: float = 0.03  # scenes that show nothing the prompt names


class SceneBatches(Dataset[SceneBatch]):
    """Batch i is decided by the seed and i alone, so that a training can stop and go on as if it had not."""

    def __init__(self, prompts: PromptWriter, rules: BatchRules, seed: int, first: int, end: int) -> None:
        self.prompts, self.rules, self.seed = prompts, rules, seed
        self.first, self.end = first, end

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, index: int) -> SceneBatch:
        rng = np.random.default_rng((self.seed, self.first + index))
        prompt = self.prompts.draw(rng)
        size_hw = _size_hw(rng, self.rules)
        scenes = [self._scene(rng, prompt, size_hw) for _ in range(self.rules.scenes)]
        return SceneBatch(
            pixels_of(np.stack([scene.image for scene in scenes])),
            prompt.input_ids,
            [targets_of(scene, prompt) for scene in scenes],
            prompt.positive_map(sorted(prompt.spans)),
        )

    def _scene(self, rng: np.random.Generator, prompt: TrainingPrompt, size_hw: tuple[int, int]) -> Scene:
        named = sorted(prompt.spans)
        low, high = self.rules.kinds
        kinds = rng.permutation(named)[: int(rng.integers(low, high + 1))].tolist()
        if rng.random() < self.rules.empty_share:
            kinds = []
        others = [concept for concept in range(len(CONCEPTS)) if concept not in prompt.spans]
        if others and rng.random() < self.rules.unnamed_share:
            kinds += rng.permutation(others)[: int(rng.integers(1, max(len(kinds), 1) + 2))].tolist()
        fewest, most = (3, 10) if len(kinds) > 2 else (1, 6)
        return render_scene(rng, size_hw, kinds, SceneRules(min_objects=fewest, max_objects=most))


def load(batches: SceneBatches, workers: int = 1) -> Iterator[SceneBatch]:
    """The batches in order, rendered ahead in `workers` processes (0: in this one)."""
    yield from DataLoader(batches, batch_size=None, num_workers=workers, prefetch_factor=8 if workers else None)


def pixels_of(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """(B, 3, H, W) normalised float of (B, H, W, 3) uint8."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    return pixels.contiguous(memory_format=torch.channels_last)


def targets_of(scene: Scene, prompt: TrainingPrompt) -> Targets:
    """The things of a scene that the prompt names."""
    named = [index for index, label in enumerate(scene.labels.tolist()) if label in prompt.spans]
    height, width = scene.image.shape[:2]
    corners = torch.from_numpy(scene.boxes_xyxy[named]).reshape(-1, 4) / torch.tensor([width, height, width, height])
    boxes = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
    return Targets(boxes, prompt.positive_map(scene.labels[named].tolist()))


def _size_hw(rng: np.random.Generator, rules: BatchRules) -> tuple[int, int]:
    """Sizes as the starter's preprocessing gives them: the longer side is at most 4/3 of the shorter one's limit."""
    longest = int(rng.choice(rules.longest))
    aspect = float(rng.choice(rules.aspects))
    wide = max(aspect, 1 / aspect)
    long_side = min(longest, 0.75 * longest * wide)
    sides = (round(long_side / wide / 8) * 8, round(long_side / 8) * 8)
    return sides if aspect >= 1 else (sides[1], sides[0])
