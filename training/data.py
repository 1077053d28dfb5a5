"""Labelled images as the batches a detector learns from."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from common.images import read_indexed
from engine.preprocessing import Preprocessing
from training.augment import Augmentation, Example
from training.config import TrainConfig
from training.samples import SampledPrompt
from training.sources import Mixture, Source
from training.targets import Targets

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
        texts: the prompt of each image, for people to read.
    """

    pixel_values: Tensor
    pixel_mask: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    targets: tuple[Targets, ...]
    image_ids: tuple[int, ...]
    texts: tuple[str, ...] = ()

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(
            self.pixel_values.to(device),
            self.pixel_mask.to(device),
            self.input_ids.to(device),
            self.attention_mask.to(device),
            tuple(target.to(device) for target in self.targets),
            self.image_ids,
            self.texts,
        )


class BatchMaker:
    """Makes the batch of any step: equal seeds give equal batches, whatever was asked for before.

    So a run that resumes at step 200 sees what an unbroken one would have seen. Every image has draws of its own, so
    that several processes, each making its part of a step, together make what one process would.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        preprocessing: Preprocessing,
        config: TrainConfig,
        *,
        rank: int = 0,
        processes: int = 1,
        readers: int = 1,
    ) -> None:
        """Args:
        sources: where the images come from; those without items or share are left out.
        preprocessing: the detector's own; training goes around its size.
        config: the settings, `batch_size` counts the images of all processes.
        rank: which of the processes this is, from 0.
        processes: how many share each step.
        readers: threads that read and change images at once; the batches do not depend on it.
        """
        self._mixture = Mixture(sources, config.seed)
        self._scales = scales(preprocessing, config.sizes_px)
        self._augment = Augmentation(config.flip, config.crop, config.color)
        self._config = config
        self._rank, self._processes, self._readers = rank, processes, readers

    def __call__(self, step: int) -> list[Batch]:
        """This process's images of a step (from 1), in `config.accumulate` parts or a few more; none without an image.

        Where the detector works at sides of whole multiples, a part holds pictures of one size, as padding would take
        away what the multiples are for: cells that end where the picture ends.

        Raises:
            ImageRefused: an image can't be read, or is not of the size it was labelled at.
        """
        rng = np.random.default_rng([self._config.seed, step, 5])
        scale = self._scales[int(rng.integers(len(self._scales)))]  # one size a step: little is padded
        places = self._places(step)
        count = len(places)
        mine = places[self._rank * count // self._processes : (self._rank + 1) * count // self._processes]
        most = max(1, math.ceil(len(mine) / self._config.accumulate))
        alike: dict[tuple[int, int] | None, list[_Visit]] = {}
        for visit in self._visits(mine, scale):
            alike.setdefault(visit.example.size_hw if scale.multiple_of > 1 else None, []).append(visit)
        parts = [some[start : start + most] for some in alike.values() for start in range(0, len(some), most)]
        return [_batch(part, scale) for part in parts]

    def images_of(self, step: int) -> list[Any]:
        """The items of a step, those of the other processes too."""
        return [self._mixture[place][1] for place in self._places(step)]

    def _places(self, step: int) -> range:
        return range((step - 1) * self._config.batch_size, step * self._config.batch_size)

    def _visits(self, places: Sequence[int], scale: Preprocessing) -> list["_Visit"]:
        drawn = [self._mixture[place] for place in places]
        visit = partial(self._visit, scale)
        if self._readers > 1 and len(places) > 1:
            with ThreadPoolExecutor(self._readers, "readers") as pool:
                return list(pool.map(visit, places, drawn))
        return list(map(visit, places, drawn))

    def _visit(self, scale: Preprocessing, place: int, drawn: tuple[Source, Any]) -> "_Visit":
        source, item = drawn
        rng = np.random.default_rng([self._config.seed, place, 4])
        sample = source.text.sample(item, rng)
        pixels = read_indexed(Path(sample.path), *sample.size_wh)
        example = Example(pixels, sample.boxes_xyxy, sample.labels)
        example, mirrored = self._augment(example, rng, scale, flips=sample.flips, crops=sample.crops)
        return _Visit(sample.image_id, example, sample.prompt(example.classes, mirrored, rng))


@dataclass(frozen=True)
class _Visit:
    """An image as it is shown this time."""

    image_id: int
    example: Example
    prompt: SampledPrompt


def _batch(visits: Sequence[_Visit], scale: Preprocessing) -> Batch:
    pixel_values, pixel_mask, _ = scale.batch([visit.example.image for visit in visits])
    input_ids, attention_mask = _padded([visit.prompt.input_ids for visit in visits])
    targets = tuple(targets_of(visit.example, visit.prompt) for visit in visits)
    ids, texts = (tuple(visit.image_id for visit in visits), tuple(visit.prompt.text for visit in visits))
    return Batch(pixel_values, pixel_mask, input_ids, attention_mask, targets, ids, texts)


def targets_of(example: Example, prompt: SampledPrompt) -> Targets:
    """Boxes as cxcywh in [0, 1] of the unpadded image; a box whose label the prompt leaves out is no target."""
    known, which = np.unique(example.classes, return_inverse=True)
    named = np.isin(known, list(prompt.positive_map))[which]
    height, width = example.size_hw
    x1, y1, x2, y2 = torch.from_numpy(example.boxes_xyxy[named]).float().unbind(-1)
    boxes = torch.stack([(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height], -1)
    nothing = torch.zeros(len(prompt.input_ids), dtype=torch.bool)
    rows = [prompt.positive_map.get(label, nothing) for label in known.tolist()]
    maps = torch.stack(rows)[torch.from_numpy(which[named])] if rows else nothing.new_zeros(0, len(nothing))
    return Targets(boxes, maps, prompt.unknown_tokens)


def scales(preprocessing: Preprocessing, sizes_px: Sequence[int]) -> list[Preprocessing]:
    """The sizes to train at: these short sides, or some around the detector's own; the long side in proportion."""
    shorts = sizes_px or [round(preprocessing.shortest_edge * share) for share in _SCALES]
    return [resized_to(preprocessing, short) for short in shorts]


def resized_to(preprocessing: Preprocessing, short_side_px: int) -> Preprocessing:
    """The same for another short side, the long one in proportion, to the nearest multiple that sides are rounded to.

    Were it none, long sides could only be rounded down to it, and all pictures would come out squeezed one way.
    """
    ratio, multiple = preprocessing.longest_edge / preprocessing.shortest_edge, preprocessing.multiple_of
    longest = round(short_side_px * ratio / multiple) * multiple
    return replace(preprocessing, shortest_edge=short_side_px, longest_edge=max(longest, short_side_px))


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


def _padded(prompts: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    longest = max(len(ids) for ids in prompts)
    input_ids = torch.full((len(prompts), longest), _PAD_ID)
    attention_mask = torch.zeros(len(prompts), longest, dtype=torch.int64)
    for row, ids in enumerate(prompts):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        attention_mask[row, : len(ids)] = 1
    return input_ids, attention_mask
