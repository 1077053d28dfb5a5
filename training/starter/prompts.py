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
_JOINERS = (",", "and", "left of", "right of", "above", "below", "next to", "on", "with", "behind", "is near")


@dataclass(frozen=True)
class PromptRules:
    """How a prompt is put together; shares are probabilities."""

    names: tuple[int, ...] = (1, 2, 4, 8, 16, 16, 24, 32, 48, 80)  # nouns in a prompt, drawn from these
    absent_share: float = 0.5  # prompts that also name things no scene shows
    max_absent: int = 6
    sentence_share: float = 0.3  # prompts whose phrases stand several together in one sentence
    phrases: int = 6  # of a sentence, at most
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
        if rng.random() < self.rules.absent_share:
            unknown = rng.choice(absent_words() + SPELLED, int(rng.integers(1, self.rules.max_absent + 1)), False)
            phrases += [Phrase(str(word)) for word in unknown]
        order = rng.permutation(len(phrases))
        joiners = self._joined(rng, len(phrases)) if rng.random() < self.rules.sentence_share else None
        return cast, self.write([phrases[index] for index in order], joiners)

    def write(self, phrases: Sequence[Phrase], joiners: Sequence[str] | None = None) -> TrainingPrompt:
        """The prompt "phrase. phrase. ", or with other words between the phrases; cut where it gets too long.

        Args:
            phrases: in their order.
            joiners: what stands before each of them but the first; None: a full stop.
        """
        ids: list[int] = [int(self.tokenizer.cls_token_id)]
        written: list[Phrase] = []
        spans: list[tuple[int, int]] = []
        for phrase in phrases:
            tokens = self.tokens(phrase.text)
            joiner = self.tokens(joiners[len(written) - 1] if joiners else ".") if written else []
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

    def _joined(self, rng: np.random.Generator, count: int) -> list[str]:
        """What stands between so many phrases: words within a sentence, full stops between sentences."""
        joiners: list[str] = []
        while len(joiners) < count:
            joiners += rng.choice(_JOINERS, int(rng.integers(0, self.rules.phrases))).tolist()
            joiners.append(".")
        return joiners
