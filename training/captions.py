"""Captions and referring expressions as samples: the text itself is the prompt, and nothing is added to it."""

import copy
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from annotations.captions import CaptionedImage, CaptionText
from common.boxes import Boxes
from engine.prompts import MAX_TOKENS, Prompt, Span, encode, longest_block
from training.samples import Sample, SampledPrompt
from training.words import mirrored_text, says_where

_BLOCK_ENDS = str.maketrans({".": " ", "?": " "})
_NO_WORD = 3  # tokens of "." between [CLS] and [SEP]


class CaptionSampler:
    """Draws one text of an image and visit (MM-Grounding-DINO, arXiv:2401.02361, its phrase grounding data).

    The tokens of a phrase are positive for the boxes it means, all other tokens are negative; a box that several
    phrases mean is one target of all their tokens. Of a referring expression every word is positive. One that means
    nothing has no box. The text is read as detection reads it: lower case, a '.' at its end, and none within an
    expression.

    Texts that say where something is, compare or count stay with the whole image; left and right change places in a
    mirrored one, or it is not mirrored.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_tokens: int = MAX_TOKENS, block_tokens: int = MAX_TOKENS
    ) -> None:
        """Args:
        tokenizer: the detector's own.
        max_tokens: of a text.
        block_tokens: of a sentence with its '.'.
        """
        # Fast tokenizers refuse two threads at once, and validation uses the detector's own meanwhile.
        self._tokenizer = copy.deepcopy(tokenizer)
        self._lock = threading.Lock()
        self._max_tokens, self._block_tokens = max_tokens, block_tokens

    def readable(self, images: Sequence[CaptionedImage]) -> list[CaptionedImage]:
        """The images with those of their texts that the detector can read to the end; images without any left out."""
        kept = [replace(image, captions=tuple(filter(self._fits, image.captions))) for image in images]
        return [image for image in kept if image.captions]

    def sample(self, image: CaptionedImage, rng: np.random.Generator) -> Sample:
        """One text of the image with its boxes.

        Raises:
            PromptError: a phrase has nothing the detector can read.
        """
        caption = image.captions[int(rng.integers(len(image.captions)))]
        boxes, meanings = boxes_once(caption)
        spans = [span for phrase in caption.phrases for span in phrase.spans]
        plain = self._encoded(caption.kind, caption.text, spans)
        mirrored = self._mirrored(caption, spans, plain)
        where = caption.kind == "expression" or says_where(caption.text)
        return Sample(
            image.id,
            image.path,
            (image.width, image.height),
            boxes,
            np.arange(len(boxes)),
            partial(_prompt, plain, mirrored, [len(phrase.spans) for phrase in caption.phrases], meanings),
            flips=mirrored is not None,
            crops=not where,
        )

    def _fits(self, caption: CaptionText) -> bool:
        prompt = self._encoded(caption.kind, caption.text, ())
        return len(prompt.input_ids) > _NO_WORD and self._is_short(prompt)

    def _is_short(self, prompt: Prompt) -> bool:
        return len(prompt.input_ids) <= self._max_tokens and longest_block(prompt) <= self._block_tokens

    def _encoded(self, kind: str, text: str, spans: Sequence[Span]) -> Prompt:
        """The text as detection reads it. No character moves, so that spans stay where they are."""
        read = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
        if kind == "expression":
            read = read.translate(_BLOCK_ENDS).rstrip()
            spans = [(start, min(end, len(read))) for start, end in spans]
        if kind == "expression" or not read.rstrip().endswith((".", "?")):
            read += "."
        with self._lock:
            return encode(read, spans, self._tokenizer)

    def _mirrored(self, caption: CaptionText, spans: Sequence[Span], plain: Prompt) -> Prompt | None:
        """The text of the mirrored image; None where it can't be known or gets too long."""
        found = mirrored_text(caption.text, spans)
        if found is None or found[0] == caption.text:
            return None if found is None else plain
        prompt = self._encoded(caption.kind, *found)
        return prompt if self._is_short(prompt) else None


def boxes_once(caption: CaptionText) -> tuple[Boxes, list[list[int]]]:
    """Each box of a caption once, (N, 4), and for each the phrases that mean it."""
    owners = [index for index, phrase in enumerate(caption.phrases) for _ in phrase.boxes_xyxy]
    if not owners:
        return np.zeros((0, 4), np.float32), []
    every = np.concatenate([phrase.boxes_xyxy for phrase in caption.phrases])
    boxes, which = np.unique(every, axis=0, return_inverse=True)
    meanings: list[list[int]] = [[] for _ in boxes]
    for owner, box in zip(owners, which.ravel().tolist(), strict=True):
        meanings[box].append(owner)
    return boxes.astype(np.float32), meanings


def _prompt(
    plain: Prompt,
    mirrored: Prompt | None,
    spans_of: Sequence[int],
    meanings: Sequence[Sequence[int]],
    labels: NDArray[np.int64],
    is_mirrored: bool,
    _rng: np.random.Generator,
) -> SampledPrompt:
    """The prompt with the tokens of each box that is left."""
    prompt = mirrored if is_mirrored and mirrored is not None else plain
    phrases = phrase_map(prompt, spans_of)
    found = {label: phrases[list(meanings[label])].any(0) for label in labels.tolist()}
    return SampledPrompt(prompt.text, prompt.input_ids, found)


def phrase_map(prompt: Prompt, spans_of: Sequence[int]) -> Tensor:
    """(P, T) bool, the tokens of each phrase; the spans come phrase by phrase, so many each."""
    found = torch.zeros(len(spans_of), len(prompt.input_ids), dtype=torch.bool)
    spans = iter(prompt.spans)
    for phrase, count in enumerate(spans_of):
        for _ in range(count):
            start, end = next(spans)
            found[phrase, start:end] = True
    return found
