"""Forward passes over pictures and prompts: what can be shared between them is made once."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.kept import Kept, key_of
from engine.network.network import GroundingNetwork, Image, Text
from engine.network.switches import Switches
from engine.preprocessing import MIN_EDGE_PX, AnyPicture, Preprocessing
from engine.products import fast_products
from engine.prompts import Prompt

_PROMPTS_SHARE = 8  # prompts may take an eighth of what is kept

Result = tuple[Tensor, Tensor]
"""Logits (B, Q, T) of the prompt's T tokens and boxes (B, Q, 4) normalised cxcywh, float32 on the CPU."""


@dataclass(frozen=True)
class Seen:
    """Pictures of one resized size that were looked at once, for any number of prompts.

    Attributes:
        pictures: each (H, W, 3) uint8 RGB, or resized ahead.
        image: their features; None where transformers' own forward pass is needed, which makes them anew.
    """

    pictures: tuple[AnyPicture, ...]
    image: Image | None

    def only(self, row: int) -> "Seen":
        """One of the pictures."""
        image = None if self.image is None else replace(self.image, cells=self.image.cells[row : row + 1])
        return Seen(self.pictures[row : row + 1], image)


class Passes:
    """Runs a grounding detector's network over pictures of one resized size.

    The features of the pictures and prompts used last may be kept, so that another prompt on a picture that was just
    looked at skips its backbone, and a prompt that was just used its text encoder.

    Attributes:
        network: the engine's own forward pass.
        preprocessing: how pictures are resized and normalised from the next call on.
    """

    def __init__(
        self,
        model: Any,
        preprocessing: Preprocessing,
        device: torch.device,
        *,
        precision: torch.dtype | None,
        together: int,
        keep_bytes: int = 0,
        switches: Switches | None = None,
    ) -> None:
        """Args:
        model: transformers' own, in eval mode on `device`.
        preprocessing: how it wants its pictures.
        device: where to run.
        precision: of autocast; None and float32: none.
        together: pictures times prompts of one pass at most, a bound on its memory.
        keep_bytes: of features; 0 where weights may change between two calls.
        switches: which of several equal ways is taken.
        """
        self.network = GroundingNetwork(model, switches)
        self._model, self.preprocessing, self._device = model, preprocessing, device
        self._precision, self._together = precision, together
        keep_bytes = keep_bytes if self.network.switches.keep_features else 0
        self._prompts: Kept[tuple[int, ...], Text] = Kept(keep_bytes // _PROMPTS_SHARE)
        self._pictures: Kept[bytes, Image] = Kept(keep_bytes - keep_bytes // _PROMPTS_SHARE)

    @property
    def kept_bytes(self) -> int:
        """Of features, now."""
        return self._prompts.size + self._pictures.size

    def spare_memory(self) -> None:
        """Keep nothing, and take one prompt a pass from now on."""
        self._together = 1
        for kept in (self._prompts, self._pictures):
            kept.clear()
            kept.limit = 0
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def see(self, pictures: Sequence[AnyPicture]) -> Seen:
        """Look at pictures, each (H, W, 3) uint8 RGB, all of one resized size."""
        is_whole = min(self.preprocessing.resized_hw(*pictures[0].shape[:2])) >= MIN_EDGE_PX
        known = is_whole and GroundingNetwork.runs(self._model.config)
        return Seen(tuple(pictures), self._image(pictures) if known else None)

    def answers(self, seen: Seen, prompts: Sequence[Prompt], references: Tensor | None = None) -> Iterator[Result]:
        """The answers to each prompt, in their order, over all pictures seen.

        Args:
            seen: the pictures.
            prompts: what is asked of each of them.
            references: (1, Q, 4) where the decoder begins, see `GroundingNetwork.answer`; to compare two ways.
        """
        if seen.image is None:
            yield from (self._by_transformers(seen.pictures, prompt) for prompt in prompts)
            return
        size = max(self._together // len(seen.pictures), 1)
        for start in range(0, len(prompts), size):
            yield from self._answers(seen.image, prompts[start : start + size], references)

    def _answers(self, image: Image, prompts: Sequence[Prompt], references: Tensor | None) -> Iterator[Result]:
        """The answers to several prompts by one pass: each picture stands in it once for each of them."""
        count = len(image.cells)
        with self._autocast(), self._products():
            text = self._text(prompts)
            if len(prompts) > 1:
                image = replace(image, cells=image.cells.repeat(len(prompts), 1, 1))
                text = _rows(text, torch.arange(len(prompts), device=self._device).repeat_interleave(count))
            answer = self.network.answer(image, text, references)
        for place, prompt in enumerate(prompts):
            rows = slice(place * count, (place + 1) * count)
            yield answer.logits[rows, :, : len(prompt.input_ids)].float().cpu(), answer.boxes[rows].float().cpu()

    def _image(self, pictures: Sequence[AnyPicture]) -> Image:
        """Backbone features of pictures of one resized size; those that are kept are not made again."""
        resized = [self.preprocessing.resize(picture) for picture in pictures]
        keys = [key_of(picture) for picture in resized] if self._pictures.limit else []
        known = {key: self._pictures.get(key) for key in keys}
        if keys and all(known.values()):
            found = [image for image in (known[key] for key in keys) if image is not None]
        else:
            pixels, _, _ = self.preprocessing.batch(resized)
            with self._autocast(), self._products():
                made = self.network.image(pixels.to(self._device))
            found = [replace(made, cells=made.cells[row : row + 1]) for row in range(len(pictures))]
            for key, image in zip(keys, found, strict=False):
                size = _bytes_of(image.cells) + _bytes_of(image.position)
                self._pictures.put(key, replace(image, cells=image.cells.clone()), size)
        return found[0] if len(found) == 1 else replace(found[0], cells=torch.cat([image.cells for image in found]))

    def _text(self, prompts: Sequence[Prompt]) -> Text:
        """Text features of prompts, a row each, padded on the right; those that are kept are not made again."""
        texts = [self._one_text(prompt.input_ids) for prompt in prompts]
        if len(texts) == 1:
            return texts[0]
        longest = max(text.mask.shape[1] for text in texts)
        padded = [_padded(text, longest) for text in texts]
        return Text(*(torch.cat([getattr(text, field.name) for text in padded]) for field in fields(Text)))

    def _one_text(self, input_ids: tuple[int, ...]) -> Text:
        known = self._prompts.get(input_ids)
        if known is None:
            ids = torch.tensor(input_ids, device=self._device)[None]
            known = self.network.text(ids, torch.ones_like(ids, dtype=torch.bool))
            size = sum(_bytes_of(getattr(known, field.name)) for field in fields(Text))
            self._prompts.put(input_ids, known, size)
        return known

    def _by_transformers(self, pictures: Sequence[AnyPicture], prompt: Prompt) -> Result:
        """The same by transformers' own forward pass, which knows padding: for strips thinner than a few cells."""
        pixels, mask, _ = self.preprocessing.resize_batch(pictures)
        ids = torch.tensor(prompt.input_ids, device=self._device).expand(len(pictures), -1)
        outputs = self._model(
            pixel_values=pixels.to(self._device),
            pixel_mask=mask.to(self._device),
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
        )
        return outputs.logits[..., : ids.shape[1]].float().cpu(), outputs.pred_boxes.float().cpu()

    def _products(self) -> AbstractContextManager[object]:
        """The faster way to multiply where it is asked for."""
        return fast_products(self._device) if self.network.switches.fast_products else nullcontext()

    def _autocast(self) -> AbstractContextManager[object]:
        """Lower precision for the products where it is asked for."""
        if self._precision in (None, torch.float32):
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._precision)


def _bytes_of(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _rows(text: Text, rows: Tensor) -> Text:
    """The same prompts, in other rows."""
    return Text(*(getattr(text, field.name)[rows] for field in fields(Text)))


def _padded(text: Text, length: int) -> Text:
    """One prompt with padding behind it; its own tokens never look there, nor do its last ones see it."""
    more = length - text.mask.shape[1]
    return Text(
        F.pad(text.features, (0, 0, 0, more)),
        F.pad(text.mask, (0, more)),
        F.pad(text.blocks, (0, more, 0, more)) | torch.eye(length, dtype=torch.bool, device=text.mask.device),
        F.pad(text.position, (0, 0, 0, more)),
    )
