"""Categories and captions as the token ids a detector reads, with the tokens of each phrase."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from engine.errors import PromptError, quoted
from engine.ontology import Category, Ontology

MAX_TOKENS = 256  # columns of the class head, [CLS] and [SEP] included
BLOCK_ENDS = frozenset({101, 102, 1012, 1029})  # [CLS], [SEP], '.', '?': hard-coded in transformers' models

Span = tuple[int, int]  # [start, end) of tokens or of characters


@dataclass(frozen=True)
class Prompt:
    """One text for the detector.

    Attributes:
        text: ends in '.', without which padding would change the last phrase's scores.
        input_ids: T token ids from [CLS] to [SEP].
        spans: the tokens [start, end) of each phrase, in the order of the phrases.
    """

    text: str
    input_ids: tuple[int, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class PackedPrompt:
    """A prompt that holds some categories of an ontology, each whole.

    Attributes:
        prompt: the phrases of these categories.
        phrases: the text of each phrase of the prompt.
        categories: the index into the ontology's categories of each phrase.
        pieces: the phrase that each span of the prompt belongs to; None: each span is a phrase.
    """

    prompt: Prompt
    phrases: tuple[str, ...]
    categories: tuple[int, ...]
    pieces: tuple[int, ...] | None = None


def pack(
    ontology: Ontology, tokenizer: PreTrainedTokenizerBase, max_tokens: int = MAX_TOKENS, block_tokens: int = MAX_TOKENS
) -> list[PackedPrompt]:
    """Put every category, in order, into as few prompts of at most `max_tokens` as this order allows.

    Args:
        ontology: any number of categories.
        tokenizer: the detector's own, fast (with offsets).
        max_tokens: of one prompt, [CLS], [SEP] and each '.' included.
        block_tokens: of one phrase and its '.': the positions the text encoder knows.

    Raises:
        PromptError: a category alone does not fit, or has a phrase the tokenizer drops altogether.
    """
    chunks: list[list[int]] = []
    room = 0
    for index, category in enumerate(ontology.categories):
        needed = _count_tokens(category, tokenizer, max_tokens, block_tokens)
        if not chunks or needed > room:
            chunks.append([])
            room = max_tokens - 2  # [CLS] and [SEP]
        chunks[-1].append(index)
        room -= needed
    return [_packed(ontology, tuple(chunk), tokenizer) for chunk in chunks]


def fitting(
    ontology: Ontology,
    indices: Iterable[int],
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int = MAX_TOKENS,
    block_tokens: int = MAX_TOKENS,
) -> PackedPrompt:
    """One prompt of the first of these categories, as many as fit, in the ontology's order.

    Args:
        ontology: that `pack` takes.
        indices: into its categories, at least one, the most important first.
        tokenizer: the detector's own, fast (with offsets).
        max_tokens: of the prompt.
        block_tokens: of one phrase and its '.'.
    """
    room = max_tokens - 2  # [CLS] and [SEP]
    chosen: list[int] = []
    for index in indices:
        room -= _count_tokens(ontology.categories[index], tokenizer, max_tokens, block_tokens)
        if room < 0:
            break
        chosen.append(index)
    return _packed(ontology, sorted(chosen), tokenizer)


def encode(text: str, char_spans: Sequence[Span], tokenizer: PreTrainedTokenizerBase) -> Prompt:
    """Tokenize `text` and find the tokens of each span of characters by the tokenizer's own offsets.

    A token belongs to a span when they share a character. Text such as '[SEP]' is read as text.

    Raises:
        PromptError: a span is outside the text or holds no token.
    """
    encoding = tokenizer(text, return_offsets_mapping=True, split_special_tokens=True, truncation=False, verbose=False)
    offsets: list[Span] = encoding["offset_mapping"]
    spans = []
    for start, end in char_spans:
        if not 0 <= start < end <= len(text):
            raise PromptError(
                f"Span {start}:{end} is not inside the {len(text)} characters of {quoted(text)}. Give [start, end)."
            )
        inside = [i for i, (first, last) in enumerate(offsets) if first < min(end, last) and start < last]
        if not inside:
            raise PromptError(f"{quoted(text[start:end])} has nothing the detector can read. Describe it in words.")
        spans.append((inside[0], inside[-1] + 1))
    return Prompt(text, tuple(encoding["input_ids"]), tuple(spans))


def positive_map(prompt: Prompt) -> torch.Tensor:
    """Which tokens belong to which phrase, as bool (n_phrases, T)."""
    positives = torch.zeros(len(prompt.spans), len(prompt.input_ids), dtype=torch.bool)
    for row, (start, end) in enumerate(prompt.spans):
        positives[row, start:end] = True
    return positives


def longest_block(prompt: Prompt) -> int:
    """Tokens of the longest stretch between two block ends, its own end included."""
    longest = length = 0
    for token in prompt.input_ids:
        length += 1
        if token in BLOCK_ENDS:
            longest, length = max(longest, length), 0
    return max(longest, length)


def _count_tokens(category: Category, tokenizer: PreTrainedTokenizerBase, max_tokens: int, block_tokens: int) -> int:
    """Tokens the phrases of a category take, one '.' after each included."""
    ids = tokenizer(list(category.phrases), add_special_tokens=False, split_special_tokens=True, verbose=False)
    counts = [len(tokens) + 1 for tokens in ids["input_ids"]]
    for phrase, count in zip(category.phrases, counts, strict=True):
        most = min(max_tokens - 2, block_tokens)
        if count > most:
            raise PromptError(
                f"{quoted(phrase)} of category {quoted(category.name)} takes {count - 1} tokens; "
                f"the detector reads {most - 1} a phrase. Shorten it."
            )
        if count == 1:
            raise PromptError(f"{quoted(phrase)} has nothing the detector can read. Describe it in words.")
    if sum(counts) > max_tokens - 2:
        raise PromptError(
            f"The {len(counts)} phrases of category {quoted(category.name)} take {sum(counts)} tokens; "
            f"the detector reads {max_tokens - 2} at once. Give it fewer phrases."
        )
    return sum(counts)


def _packed(ontology: Ontology, indices: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> PackedPrompt:
    """The prompt of the categories at `indices`."""
    phrases = [(phrase, index) for index in indices for phrase in ontology.categories[index].phrases]
    text = ""
    char_spans: list[Span] = []
    for phrase, _ in phrases:
        text += " " if text else ""
        char_spans.append((len(text), len(text) + len(phrase)))
        text += phrase + "."
    prompt = encode(text, char_spans, tokenizer)
    return PackedPrompt(prompt, tuple(phrase for phrase, _ in phrases), tuple(index for _, index in phrases))
