"""Batches turned back into pictures, boxes and words."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from annotations.categories import PALETTE
from common.boxes import Boxes
from common.images import ImageRGB
from engine.preprocessing import Preprocessing
from training.data import Batch

Role = Literal["name", "special", "padding", "unknown"]
"""name: takes part in the loss; special: [CLS] and [SEP]; unknown: of a name nobody looked for on this image."""


@dataclass(frozen=True)
class ShownToken:
    """One token of a prompt.

    Attributes:
        text: as the detector's vocabulary has it, without the "##" of a piece.
        role: see `Role`.
        piece: whether it goes on with the word before it.
        colors: of the labels it names; empty where no box is called so.
    """

    text: str
    role: Role
    piece: bool
    colors: tuple[str, ...]


@dataclass(frozen=True)
class ShownBox:
    """One target.

    Attributes:
        xyxy: pixels of the shown picture.
        name: the words it is called by.
        color: of that name.
        places: of these words among the tokens.
    """

    xyxy: tuple[float, float, float, float]
    name: str
    color: str
    places: tuple[int, ...]


@dataclass(frozen=True)
class ShownSample:
    """One image of a batch.

    Attributes:
        image_id: of the dataset.
        step: of the training, from 1.
        image: (H, W, 3) uint8 RGB as the detector gets it, padding and all.
        size_hw: of the picture in it, without the padding.
        tokens: the prompt, padding and all.
        boxes: the targets.
    """

    image_id: int
    step: int
    image: ImageRGB
    size_hw: tuple[int, int]
    tokens: tuple[ShownToken, ...]
    boxes: tuple[ShownBox, ...]


def shown_samples(
    batches: Callable[[int], list[Batch]],
    count: int,
    tokenizer: PreTrainedTokenizerBase,
    preprocessing: Preprocessing,
    colors: Mapping[str, str] | None = None,
) -> Iterator[ShownSample]:
    """The first `count` images that a training learns from.

    Args:
        batches: makes the parts of a step, from 1.
        count: of images.
        tokenizer: the detector's own.
        preprocessing: the detector's, whose mean and deviation are taken back out.
        colors: phrase -> "#rrggbb"; other phrases get a colour that depends on their words alone.
    """
    by_tokens = {_ids(phrase, tokenizer): color for phrase, color in (colors or {}).items()}
    shown = step = 0
    while shown < count:
        step += 1
        for batch in batches(step):
            for row in range(min(len(batch.targets), count - shown)):
                yield _sample(batch, row, step, tokenizer, preprocessing, by_tokens)
                shown += 1


def _sample(
    batch: Batch,
    row: int,
    step: int,
    tokenizer: PreTrainedTokenizerBase,
    preprocessing: Preprocessing,
    by_tokens: Mapping[tuple[int, ...], str],
) -> ShownSample:
    ids: list[int] = batch.input_ids[row].tolist()
    targets = batch.targets[row]
    named = [tuple(torch.nonzero(mask).flatten().tolist()) for mask in targets.positive_map]  # places of tokens
    palette = {places: _color([ids[place] for place in places], by_tokens) for places in dict.fromkeys(named)}
    height, width = _size_of(batch.pixel_mask[row])
    boxes = _pixels(targets.boxes, width, height)
    return ShownSample(
        image_id=batch.image_ids[row],
        step=step,
        image=_picture(batch.pixel_values[row], batch.pixel_mask[row], preprocessing),
        size_hw=(height, width),
        tokens=tuple(_tokens(batch, row, ids, palette, tokenizer)),
        boxes=tuple(
            ShownBox((x1, y1, x2, y2), _words([ids[place] for place in places], tokenizer), palette[places], places)
            for (x1, y1, x2, y2), places in zip(boxes.tolist(), named, strict=True)
        ),
    )


def _tokens(
    batch: Batch,
    row: int,
    ids: Sequence[int],
    palette: Mapping[tuple[int, ...], str],
    tokenizer: PreTrainedTokenizerBase,
) -> Iterator[ShownToken]:
    unknown = batch.targets[row].unknown_tokens
    special = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    for place, (id_, text) in enumerate(zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)):
        role: Role = "name"
        if not batch.attention_mask[row, place]:
            role = "padding"
        elif id_ in special:
            role = "special"
        elif unknown is not None and place < len(unknown) and bool(unknown[place]):
            role = "unknown"
        colors = tuple(dict.fromkeys(color for places, color in palette.items() if place in places))
        yield ShownToken(text.removeprefix("##"), role, text.startswith("##"), colors)


def _picture(pixel_values: Tensor, pixel_mask: Tensor, preprocessing: Preprocessing) -> ImageRGB:
    """(3, H, W) normalised to (H, W, 3) RGB; what is padded is hatched."""
    mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
    values = (pixel_values.float() * std[:, None, None] + mean[:, None, None]) * 255  # (3, H, W)
    image: ImageRGB = values.round().clamp(0, 255).byte().permute(1, 2, 0).numpy().copy()
    rows, columns = np.indices(image.shape[:2])
    hatch = np.where((rows + columns) % 16 < 8, 208, 228).astype(np.uint8)
    padded: NDArray[np.bool_] = pixel_mask.numpy() == 0
    image[padded] = hatch[padded][:, None]
    return image


def _size_of(pixel_mask: Tensor) -> tuple[int, int]:
    return int(pixel_mask[:, 0].sum()), int(pixel_mask[0].sum())


def _pixels(boxes: Tensor, width: int, height: int) -> Boxes:
    """cxcywh in [0, 1] to xyxy in pixels."""
    cx, cy, w, h = (boxes * torch.tensor([width, height, width, height])).unbind(-1)
    corners: Boxes = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1).numpy().astype(np.float32)
    return corners


def _color(ids: Sequence[int], by_tokens: Mapping[tuple[int, ...], str]) -> str:
    known = by_tokens.get(tuple(ids))
    return known or PALETTE[zlib.crc32(np.array(ids, np.int64).tobytes()) % len(PALETTE)]


def _ids(phrase: str, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    found = tokenizer(phrase, add_special_tokens=False, split_special_tokens=True, verbose=False).input_ids
    return tuple(found)


def _words(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> str:
    tokens: list[str] = tokenizer.convert_ids_to_tokens(list(ids))
    return " ".join(tokens).replace(" ##", "")
