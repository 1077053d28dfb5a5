"""Prompts for training: names of things that are there, that are not there, and that nobody knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from training.starter.words import ABSENT_THINGS, words
from training.worlds import CONCEPTS

MAX_TOKENS = 250
_JOINERS = (", ", " and a ", ", the ", " next to a ", " on the ", " with two ")

# Words that the tokenizer must spell in pieces, for things that no scene shows.
_SPELLED = words(
    "platypus armadillo accordion typewriter harpoon chandelier thermometer windmill tambourine satellite parachute "
    "periscope wheelbarrow sombrero gargoyle stethoscope trampoline xylophone zeppelin quokka yurt velociraptor "
    "umlaut spatula leukocyte erythrocyte thrombocyte pallet forklift conveyor solder capacitor transistor weed"
)


@dataclass(frozen=True)
class PromptRules:
    """How a prompt is put together; shares are probabilities."""

    names: tuple[int, ...] = (1, 3, 8, 16, 24, 32, 48, 64, 80, 80)  # concepts in a prompt, drawn from these
    synonym_share: float = 0.15  # of the concepts that have one
    absent_share: float = 0.5  # prompts that also name things no scene shows
    max_absent: int = 6
    caption_share: float = 0.08  # prompts that read like a sentence instead of a list


@dataclass(frozen=True)
class TrainingPrompt:
    """Token ids and, for each concept asked for, its tokens.

    Attributes:
        input_ids: (1, T) long.
        spans: concept index -> [start, end) of its tokens.
    """

    input_ids: Tensor
    spans: dict[int, tuple[int, int]]

    def positive_map(self, concepts: Sequence[int]) -> Tensor:
        """(N, T) bool, a row for each concept given."""
        rows = torch.zeros(len(concepts), self.input_ids.shape[1], dtype=torch.bool)
        for row, concept in enumerate(concepts):
            start, end = self.spans[concept]
            rows[row, start:end] = True
        return rows


class PromptWriter:
    """Writes training prompts with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, rules: PromptRules | None = None) -> None:
        self.tokenizer = tokenizer
        self.rules = rules or PromptRules()
        self._ids: dict[str, list[int]] = {}

    @cached_property
    def _stop(self) -> int:
        return self._tokens(".")[0]

    def draw(self, rng: np.random.Generator) -> TrainingPrompt:
        """A random prompt."""
        count = int(rng.choice(self.rules.names))
        concepts = rng.permutation(len(CONCEPTS))[:count].tolist()
        phrases: list[tuple[int | None, str]] = [(concept, self._name(concept, rng)) for concept in concepts]
        caption = count <= 8 and rng.random() < self.rules.caption_share
        if not caption and rng.random() < self.rules.absent_share:
            unknown = rng.choice(ABSENT_THINGS + _SPELLED, int(rng.integers(1, self.rules.max_absent + 1)), False)
            phrases += [(None, str(word)) for word in unknown]
        order = rng.permutation(len(phrases))
        return self._written([phrases[index] for index in order], rng if caption else None)

    def write(self, concepts: Sequence[int]) -> TrainingPrompt:
        """The prompt "name. name. " of these concepts in this order."""
        return self._written([(concept, CONCEPTS[concept].name) for concept in concepts], None)

    def _written(
        self, phrases: Sequence[tuple[int | None, str]], caption: np.random.Generator | None
    ) -> TrainingPrompt:
        first, last = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        ids: list[int] = [first]
        spans: dict[int, tuple[int, int]] = {}
        for number, (concept, text) in enumerate(phrases):
            tokens = self._tokens(text)
            joiner = self._joiner(number, caption)
            if len(ids) + len(joiner) + len(tokens) > MAX_TOKENS:
                break
            ids += joiner
            if concept is not None:
                spans[concept] = (len(ids), len(ids) + len(tokens))
            ids += tokens
        return TrainingPrompt(torch.tensor([[*ids, self._stop, last]]), spans)

    def _joiner(self, number: int, caption: np.random.Generator | None) -> list[int]:
        if caption is not None:
            return self._tokens(_JOINERS[caption.integers(len(_JOINERS))] if number else "a")
        return [self._stop] if number else []

    def _name(self, concept: int, rng: np.random.Generator) -> str:
        synonyms = CONCEPTS[concept].synonyms
        if synonyms and rng.random() < self.rules.synonym_share:
            return synonyms[rng.integers(len(synonyms))]
        return CONCEPTS[concept].name

    def _tokens(self, text: str) -> list[int]:
        if text not in self._ids:
            self._ids[text] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._ids[text]
