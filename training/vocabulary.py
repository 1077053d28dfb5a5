"""The prompt of a training image: which names stand in it, and which tokens name each box."""

import copy
from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from annotations.queries import LabelledImage
from engine.ontology import Ontology
from engine.prompts import MAX_TOKENS, Prompt, pack, positive_map
from training.config import Mode
from training.samples import Sample, SampledPrompt
from training.words import says_a_side

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


Name = int | str  # a category of the dataset by its index, or a name that is not the dataset's

_ANY_PROMPT = 0.25  # share of visits in mode closed that may get any of its prompts


class PromptSampler:
    """Draws the prompt of an image (MM-Grounding-DINO's RandomSamplingNegPos, arXiv:2401.02361).

    "closed" asks for every category each time, in the very prompts it is measured with. The other modes ask for the
    categories on the image, shuffled among names that are known not to be on it: other categories of the dataset, and
    a fixed list where the image is labelled completely. Where a category has several phrases, one is drawn. Names go
    in while there is room, those on the image first; what does not fit is left out, its boxes too.

    A category that nobody looked for on an image is no negative there: it is left out of the prompt, or, in a closed
    one, its tokens are marked as unknown.
    """

    def __init__(
        self,
        ontology: Ontology,
        tokenizer: PreTrainedTokenizerBase,
        mode: Mode,
        negatives: int,
        max_tokens: int = MAX_TOKENS,
        block_tokens: int = MAX_TOKENS,
        novel: Collection[int] = (),
    ) -> None:
        """Args:
        ontology: the dataset's categories.
        tokenizer: the detector's own.
        mode: see above.
        negatives: most names in a prompt that are not on the image.
        max_tokens: of a prompt.
        block_tokens: of a phrase with its '.'.
        novel: categories that are held out: never named, their boxes no targets.

        Raises:
            PromptError: a category does not fit into a prompt.
        """
        self.ontology = ontology
        self._mode = mode
        self._negatives = negatives
        self._room = max_tokens - 2  # [CLS] and [SEP]
        self._named = [index for index in range(len(ontology.categories)) if index not in set(novel)]
        # Fast tokenizers refuse two threads at once, and validation uses the detector's own meanwhile.
        tokenizer = copy.deepcopy(tokenizer)
        self._closed_prompts = pack(ontology, tokenizer, max_tokens, block_tokens)
        phrases = [phrase for category in ontology.categories for phrase in category.phrases]
        taken = {*phrases, *(category.name.lower() for category in ontology.categories)}
        self._others = [name for name in OTHER_NAMES if name not in taken]
        self._flips = not any(says_a_side(phrase) for phrase in phrases)  # a left shoe is a right one in a mirror
        self._ids = _token_ids([*phrases, *self._others], tokenizer)
        self._ends = (tokenizer.cls_token_id, tokenizer.convert_tokens_to_ids("."), tokenizer.sep_token_id)

    def sample(self, image: LabelledImage, rng: np.random.Generator) -> Sample:
        """The labelled boxes of an image; a crowd's box holds many objects and is no example of one."""
        chosen = ~image.iscrowd & np.isin(image.category_ids, self._named)
        absent = image.absent_of(self._named)

        def prompt(labels: NDArray[np.int64], _mirrored: bool, rng: np.random.Generator) -> SampledPrompt:
            return self(set(labels.tolist()), absent, rng, others=image.done)

        return Sample(
            image.id,
            image.path,
            (image.width, image.height),
            image.boxes_xyxy[chosen],
            image.category_ids[chosen],
            prompt,
            flips=self._flips,
        )

    def __call__(
        self, present: Collection[int], absent: Collection[int], rng: np.random.Generator, *, others: bool = True
    ) -> SampledPrompt:
        """A prompt for an image.

        Args:
            present: the categories with boxes on it, as indices into the ontology.
            absent: those known not to be on it.
            rng: to draw from.
            others: whether names that are not the dataset's may be asked for as well.
        """
        if self._mode == "closed":
            return self._closed(present, absent, rng)
        room = self._room
        names: list[Name] = []
        phrases: list[str] = []
        on_image: list[Name] = [index for index in self._named if index in present]
        for name in _shuffled(on_image, rng) + self._drawn_absent(on_image, absent, others, rng):
            phrase = self._phrase(name, rng)
            if len(self._ids[phrase]) + 1 <= room:
                names.append(name)
                phrases.append(phrase)
                room -= len(self._ids[phrase]) + 1
        known = {*present, *absent}
        return self._joined([(names[i], phrases[i]) for i in rng.permutation(len(names))], known)

    def _closed(self, present: Collection[int], absent: Collection[int], rng: np.random.Generator) -> SampledPrompt:
        """One of the prompts that together hold all categories.

        Mostly one that names something on the image; any of them in a quarter of the visits, or the names of the others
        would never be learnt to be absent.
        """
        useful = [packed for packed in self._closed_prompts if set(packed.categories) & set(present)]
        choice = useful if useful and rng.random() >= _ANY_PROMPT else self._closed_prompts
        packed = choice[int(rng.integers(len(choice)))]
        return _sampled(packed.prompt, packed.categories, {*present, *absent})

    def _drawn_absent(
        self, on_image: Collection[Name], absent: Collection[int], others: bool, rng: np.random.Generator
    ) -> list[Name]:
        """Names that are not on the image: in half of the cases as many as allowed, else from 1 up to that."""
        candidates: list[Name] = [index for index in self._named if index in absent and index not in on_image]
        candidates += self._others if others else []
        most = min(self._negatives, len(candidates))
        if most == 0:  # a prompt needs a name, also of an image that shows nothing
            return [] if on_image else (candidates or [*self._named])[:1]
        count = most if rng.random() < 0.5 else int(rng.integers(1, most + 1))
        return [candidates[index] for index in rng.permutation(len(candidates))[:count]]

    def _phrase(self, name: Name, rng: np.random.Generator) -> str:
        if isinstance(name, str):
            return name
        phrases = self.ontology.categories[name].phrases
        return phrases[0] if len(phrases) == 1 else phrases[int(rng.integers(len(phrases)))]

    def _joined(self, named: Sequence[tuple[Name, str]], known: Collection[int]) -> SampledPrompt:
        """ "a. b. c." of phrases whose tokens are known: a '.' always ends a word, so they are the text's own."""
        start, stop, end = self._ends
        ids = [start]
        spans = []
        for _, phrase in named:
            spans.append((len(ids), len(ids) + len(self._ids[phrase])))
            ids += [*self._ids[phrase], stop]
        prompt = Prompt(" ".join(f"{phrase}." for _, phrase in named), (*ids, end), tuple(spans))
        return _sampled(prompt, [name for name, _ in named], known)


def _sampled(prompt: Prompt, names: Sequence[Name], known: Collection[int]) -> SampledPrompt:
    """The prompt with the tokens of each category; those of categories that are not `known` are marked."""
    found: dict[int, Tensor] = {}
    for name, row in zip(names, positive_map(prompt), strict=True):
        if isinstance(name, int):
            found[name] = found[name] | row if name in found else row
    unknown = [row for name, row in found.items() if name not in known]
    tokens = torch.stack(unknown).any(0) if unknown else None
    return SampledPrompt(prompt.text, prompt.input_ids, found, tokens)


def _token_ids(phrases: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    encoded = tokenizer(list(phrases), add_special_tokens=False, split_special_tokens=True, verbose=False)
    return dict(zip(phrases, encoded["input_ids"], strict=True))


def _shuffled(names: Sequence[Name], rng: np.random.Generator) -> list[Name]:
    return [names[index] for index in rng.permutation(len(names))]
