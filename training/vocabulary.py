"""The prompt of a training image: which names stand in it, and which tokens name each box."""

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from engine.ontology import Category, Ontology
from engine.prompts import MAX_TOKENS, PackedPrompt, pack, positive_map
from training.config import Mode

# Things that are seldom in a picture nobody labelled them in. Everyday names (person, table) would often be there
# without a box, and the detector would unlearn them.
OTHER_NAMES = (
    "accordion", "anvil", "armadillo", "bagpipes", "bobsled", "boomerang", "cactus", "camel", "cannon", "canoe",
    "castle", "catapult", "chainsaw", "chameleon", "combine harvester", "crocodile", "dragonfly", "fire hydrant",
    "flamingo", "gargoyle", "gondola", "hang glider", "harp", "helicopter", "hot air balloon", "igloo", "jellyfish",
    "kite", "lighthouse", "lobster", "lunar module", "maypole", "narwhal", "octopus", "ostrich", "parachute",
    "peacock", "pelican", "penguin", "pineapple", "pyramid", "rhinoceros", "rickshaw", "saxophone", "scarecrow",
    "seahorse", "sledge", "snowmobile", "sombrero", "space shuttle", "submarine", "sundial", "telescope", "trombone",
    "typewriter", "unicycle", "volcano", "walrus", "windmill", "xylophone",
)  # fmt: skip


Name = int | Category  # a category of the dataset by its index, or a name that is not the dataset's


@dataclass(frozen=True)
class SampledPrompt:
    """One prompt with the tokens of each category that stands in it.

    Attributes:
        input_ids: T token ids.
        positive_map: category index -> (T,) bool, the tokens of its phrase.
    """

    input_ids: tuple[int, ...]
    positive_map: dict[int, Tensor]


class PromptSampler:
    """Draws the prompt of an image (MM-Grounding-DINO's RandomSamplingNegPos, arXiv:2401.02361).

    "closed" asks for every category each time. The other modes ask for the categories on the image, shuffled among
    names that are not on it: other categories of the dataset and a fixed list. Where a category has several phrases,
    one is drawn. What does not fit into a prompt is left out, its boxes too.
    """

    def __init__(
        self,
        ontology: Ontology,
        tokenizer: PreTrainedTokenizerBase,
        mode: Mode,
        negatives: int,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self.ontology = ontology
        self._mode = mode
        self._negatives = negatives
        self._max_tokens = max_tokens
        # Fast tokenizers refuse two threads at once, and validation uses the detector's own meanwhile.
        self._tokenizer = copy.deepcopy(tokenizer)
        taken = {text for category in ontology.categories for text in (category.name.lower(), *category.phrases)}
        self._others = [Category(name) for name in OTHER_NAMES if name not in taken]
        self._phrases_vary = any(len(category.phrases) > 1 for category in ontology.categories)
        self._fixed: list[PackedPrompt] | None = None

    def __call__(self, present: Collection[int], rng: np.random.Generator) -> SampledPrompt:
        """A prompt for an image that shows the categories `present` (indices into the ontology)."""
        if self._mode == "closed":
            return self._closed(present, rng)
        on_image: list[Name] = [*sorted(present)]
        absent = self._absent(present, rng)
        names = _shuffled([*on_image, *absent], rng)
        prompts = self._pack(names, rng)
        if len(prompts) > 1:  # too long: what is on the image goes in first
            names = _shuffled(on_image, rng) + absent
            prompts = self._pack(names, rng)
        return _sampled(prompts[0], names)

    def _closed(self, present: Collection[int], rng: np.random.Generator) -> SampledPrompt:
        everything: list[Name] = [*range(len(self.ontology.categories))]
        if self._fixed is None or self._phrases_vary:
            self._fixed = self._pack(everything, rng)
        useful = [prompt for prompt in self._fixed if set(prompt.categories) & set(present)]
        prompts = useful or self._fixed
        return _sampled(prompts[int(rng.integers(len(prompts)))], everything)

    def _absent(self, present: Collection[int], rng: np.random.Generator) -> list[Name]:
        """Names that are not on the image: in half of the cases as many as allowed, else from 1 up to that."""
        candidates: list[Name] = [index for index in range(len(self.ontology.categories)) if index not in set(present)]
        candidates += self._others
        most = min(self._negatives, len(candidates))
        if most == 0:
            return [] if present else candidates[:1]  # a prompt needs a name, also of an image that shows nothing
        count = most if rng.random() < 0.5 else int(rng.integers(1, most + 1))
        return [candidates[index] for index in rng.permutation(len(candidates))[:count]]

    def _pack(self, names: Sequence[Name], rng: np.random.Generator) -> list[PackedPrompt]:
        categories = tuple(self._with_one_phrase(name, rng) for name in names)
        return pack(Ontology(categories), self._tokenizer, self._max_tokens)

    def _with_one_phrase(self, name: Name, rng: np.random.Generator) -> Category:
        category = self.ontology.categories[name] if isinstance(name, int) else name
        if len(category.phrases) == 1:
            return category
        return Category(category.name, (category.phrases[rng.integers(len(category.phrases))],))


def _sampled(prompt: PackedPrompt, names: Sequence[Name]) -> SampledPrompt:
    """The prompt with a map for each of its names that is a category of the dataset."""
    rows: Tensor = positive_map(prompt.prompt)
    found = {names[index]: row for index, row in zip(prompt.categories, rows, strict=True)}
    return SampledPrompt(prompt.prompt.input_ids, {name: row for name, row in found.items() if isinstance(name, int)})


def _shuffled(names: Sequence[Name], rng: np.random.Generator) -> list[Name]:
    return [names[index] for index in rng.permutation(len(names))]
