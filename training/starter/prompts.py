"""Prompts for training: phrases that fit something, phrases of what is not there, and words that nobody knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from training.starter.casting import Cast, CastRules, Phrase, draw_cast
from training.starter.words import SPELLED, absent_words

MAX_TOKENS = 250
_JOINERS = (", ", " and a ", ", the ", " next to a ", " on the ", " with two ")


@dataclass(frozen=True)
class PromptRules:
    """How a prompt is put together; shares are probabilities."""

    names: tuple[int, ...] = (1, 2, 4, 8, 16, 16, 24, 32, 48, 80)  # nouns in a prompt, drawn from these
    absent_share: float = 0.5  # prompts that also name things no scene shows
    max_absent: int = 6
    caption_share: float = 0.06  # short prompts that read like a sentence instead of a list
    cast: CastRules = field(default_factory=CastRules)


@dataclass(frozen=True)
class TrainingPrompt:
    """Token ids and, for each phrase, its tokens.

    Attributes:
        input_ids: (T,) long.
        phrases: those that were written, in their order.
        spans: [start, end) of the tokens of each phrase.
    """

    input_ids: Tensor
    phrases: tuple[Phrase, ...]
    spans: tuple[tuple[int, int], ...]

    @cached_property
    def names(self) -> Tensor:
        """(P, T) bool, the tokens of each phrase."""
        rows = torch.zeros(len(self.spans), len(self.input_ids), dtype=torch.bool)
        for row, (start, end) in enumerate(self.spans):
            rows[row, start:end] = True
        return rows

    @cached_property
    def phrase_of(self) -> dict[int, int]:
        """Thing -> the phrase that fits it."""
        return {thing: place for place, phrase in enumerate(self.phrases) for thing in phrase.things}

    def positive_map(self, things: Sequence[int]) -> Tensor:
        """(N, T) bool, a row for each thing given; every one is named."""
        return self.names[[self.phrase_of[thing] for thing in things]]


class PromptWriter:
    """Writes training prompts with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, rules: PromptRules | None = None) -> None:
        self.tokenizer = tokenizer
        self.rules = rules or PromptRules()
        self._ids: dict[str, list[int]] = {}

    @cached_property
    def _stop(self) -> int:
        return self.tokens(".")[0]

    def draw(self, rng: np.random.Generator) -> tuple[Cast, TrainingPrompt]:
        """A random cast and its prompt, which leaves out what does not fit."""
        count = int(rng.choice(self.rules.names))
        cast = draw_cast(rng, count, self.rules.cast)
        phrases = list(cast.phrases)
        caption = count <= 8 and rng.random() < self.rules.caption_share
        if not caption and rng.random() < self.rules.absent_share:
            unknown = rng.choice(absent_words() + SPELLED, int(rng.integers(1, self.rules.max_absent + 1)), False)
            phrases += [Phrase(str(word)) for word in unknown]
        order = rng.permutation(len(phrases))
        return cast, self.write([phrases[index] for index in order], rng if caption else None)

    def write(self, phrases: Sequence[Phrase], caption: np.random.Generator | None = None) -> TrainingPrompt:
        """The prompt "phrase. phrase. ", or with `caption` words between the phrases; cut where it gets too long."""
        ids: list[int] = [int(self.tokenizer.cls_token_id)]
        written: list[Phrase] = []
        spans: list[tuple[int, int]] = []
        for phrase in phrases:
            tokens = self.tokens(phrase.text)
            joiner = self._joiner(len(written), caption)
            if len(ids) + len(joiner) + len(tokens) > MAX_TOKENS:
                break
            ids += joiner
            written.append(phrase)
            spans.append((len(ids), len(ids) + len(tokens)))
            ids += tokens
        ids += [self._stop, int(self.tokenizer.sep_token_id)]
        return TrainingPrompt(torch.tensor(ids), tuple(written), tuple(spans))

    def tokens(self, text: str) -> list[int]:
        """Ids of a text without the special ones."""
        if text not in self._ids:
            self._ids[text] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._ids[text]

    def _joiner(self, number: int, caption: np.random.Generator | None) -> list[int]:
        if caption is not None:
            return self.tokens(_JOINERS[caption.integers(len(_JOINERS))] if number else "a")
        return [self._stop] if number else []
