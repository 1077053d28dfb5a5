"""Labelled images as the batches a detector learns from."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from annotations.queries import LabelledImage
from common.images import read_indexed
from engine.preprocessing import Preprocessing
from training.augment import Augmentation, Example
from training.config import TrainConfig
from training.criterion import Targets
from training.vocabulary import PromptSampler, SampledPrompt

T = TypeVar("T")

_PAD_ID = 0  # of BERT's vocabulary; masked, so its value does not matter
_SCALES = (0.8, 0.9, 1.0, 1.1, 1.2)  # of the detector's own short side


@dataclass(frozen=True)
class Batch:
    """What one forward pass and its loss need, for B images and prompts of up to T tokens.

    Attributes:
        pixel_values: (B, 3, H, W) float, normalised, 0 where padded.
        pixel_mask: (B, H, W), 1 on the picture.
        input_ids: (B, T) int64.
        attention_mask: (B, T) int64, 1 on the image's own prompt.
        targets: boxes and their tokens, one an image.
        image_ids: of the dataset, for error messages.
    """

    pixel_values: Tensor
    pixel_mask: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    targets: tuple[Targets, ...]
    image_ids: tuple[int, ...]

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(
            self.pixel_values.to(device),
            self.pixel_mask.to(device),
            self.input_ids.to(device),
            self.attention_mask.to(device),
            tuple(target.to(device) for target in self.targets),
            self.image_ids,
        )


class BatchMaker:
    """Makes the batch of any step: equal seeds give equal batches, whatever was asked for before.

    So a run that resumes at step 200 sees what an unbroken one would have seen.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        prompts: PromptSampler,
        preprocessing: Preprocessing,
        config: TrainConfig,
    ) -> None:
        self._images = images
        self._prompts = prompts
        self._scales = scales(preprocessing, config.sizes_px)
        self._augment = Augmentation(config.flip, config.crop, config.color)
        self._config = config

    def __call__(self, step: int) -> list[Batch]:
        """The images of a step (from 1), in `config.accumulate` parts.

        Raises:
            ImageRefused: an image can't be read, or is not of the size it was labelled at.
        """
        rng = np.random.default_rng([self._config.seed, step])
        chosen = self.images_of(step)
        size = math.ceil(len(chosen) / self._config.accumulate)
        scale = self._scales[int(rng.integers(len(self._scales)))]  # one size a step: little is padded
        return [self._batch(chosen[start : start + size], scale, rng) for start in range(0, len(chosen), size)]

    def images_of(self, step: int) -> list[LabelledImage]:
        """Every image comes once before any comes again, in a new order each time."""
        count = len(self._images)
        first = (step - 1) * self._config.batch_size
        places = range(first, first + self._config.batch_size)
        orders = {epoch: self._order(epoch) for epoch in {place // count for place in places}}
        return [self._images[orders[place // count][place % count]] for place in places]

    def _order(self, epoch: int) -> list[int]:
        rng = np.random.default_rng([self._config.seed, epoch, 1])
        order: list[int] = rng.permutation(len(self._images)).tolist()
        return order

    def _batch(self, images: Sequence[LabelledImage], scale: Preprocessing, rng: np.random.Generator) -> Batch:
        examples = [self._augment(_example(image), rng) for image in images]
        prompts = [self._prompts(set(example.classes.tolist()), rng) for example in examples]
        pixel_values, pixel_mask, _ = scale.resize_batch([example.image for example in examples])
        input_ids, attention_mask = _padded([prompt.input_ids for prompt in prompts])
        targets = tuple(targets_of(example, prompt) for example, prompt in zip(examples, prompts, strict=True))
        ids = tuple(image.id for image in images)
        return Batch(pixel_values, pixel_mask, input_ids, attention_mask, targets, ids)


def targets_of(example: Example, prompt: SampledPrompt) -> Targets:
    """Boxes as cxcywh in [0, 1] of the unpadded image; a box whose category the prompt leaves out is no target."""
    named = [row for row, class_id in enumerate(example.classes.tolist()) if class_id in prompt.positive_map]
    height, width = example.size_hw
    x1, y1, x2, y2 = torch.from_numpy(example.boxes_xyxy[named]).float().unbind(-1)
    boxes = torch.stack([(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height], -1)
    rows = [prompt.positive_map[int(example.classes[row])] for row in named]
    maps = torch.stack(rows) if rows else torch.zeros(0, len(prompt.input_ids), dtype=torch.bool)
    return Targets(boxes, maps)


def scales(preprocessing: Preprocessing, sizes_px: Sequence[int]) -> list[Preprocessing]:
    """The sizes to train at: these short sides, or some around the detector's own; the long side in proportion."""
    shorts = sizes_px or [round(preprocessing.shortest_edge * share) for share in _SCALES]
    return [resized_to(preprocessing, short) for short in shorts]


def resized_to(preprocessing: Preprocessing, short_side_px: int) -> Preprocessing:
    """The same for another short side, the long one in proportion."""
    ratio = preprocessing.longest_edge / preprocessing.shortest_edge
    return replace(preprocessing, shortest_edge=short_side_px, longest_edge=round(short_side_px * ratio))


def prefetched(make: Callable[[int], T], steps: range, ahead: int = 2) -> Iterator[T]:
    """`make(step)` for each step, up to `ahead` of them prepared on a thread while the caller computes."""
    pool = ThreadPoolExecutor(1, "batches")
    waiting: deque[Future[T]] = deque(pool.submit(make, step) for step in steps[:ahead])
    try:
        for step in steps:
            result = waiting.popleft().result()
            if step + ahead * steps.step in steps:
                waiting.append(pool.submit(make, step + ahead * steps.step))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _example(image: LabelledImage) -> Example:
    single = ~image.iscrowd  # a crowd's box holds many objects and is no example of one
    pixels = read_indexed(Path(image.path), image.width, image.height)
    return Example(pixels, image.boxes_xyxy[single], image.category_ids[single])


def _padded(prompts: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    longest = max(len(ids) for ids in prompts)
    input_ids = torch.full((len(prompts), longest), _PAD_ID)
    attention_mask = torch.zeros(len(prompts), longest, dtype=torch.int64)
    for row, ids in enumerate(prompts):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        attention_mask[row, : len(ids)] = 1
    return input_ids, attention_mask
