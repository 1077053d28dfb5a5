"""The words a detector is asked for: phrases it can't read, can't tell apart, or has no room for."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.ontology import clean_phrase
from training.checks.problem import Problem, counted, error, warning
from training.checks.subject import NamedPhrases, Subject, readable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONG_TOKENS = 32  # a phrase that takes so many leaves little room for names that are not on the image


@dataclass(frozen=True)
class Reader:
    """How a detector reads text.

    Attributes:
        tokenizer: its own, fast.
        most_tokens: of a prompt, [CLS] and [SEP] included.
        block_tokens: of one phrase and its '.'.
    """

    tokenizer: "PreTrainedTokenizerBase"
    most_tokens: int
    block_tokens: int


def check_text(subject: Subject, flip: float = 0.0) -> Iterator[Problem]:
    """What can be seen without a tokenizer.

    Args:
        subject: the dataset.
        flip: probability of a mirrored image.
    """
    yield from _wordless(subject.categories)
    yield from _shared(subject.categories)
    yield from _block_ends(subject.categories)
    yield from _sides(subject.categories, flip)
    yield from _against_prompt(subject)


def check_tokens(categories: Sequence[NamedPhrases], reader: Reader) -> Iterator[Problem]:
    """What the detector's own tokenizer makes of the phrases."""
    unread, part_read, too_long, too_many, long = [], [], [], [], []
    most = min(reader.most_tokens - 2, reader.block_tokens)
    for category in filter(None, map(readable, categories)):
        counts = []
        for phrase in category.phrases:
            ids = reader.tokenizer(phrase, add_special_tokens=False, split_special_tokens=True, verbose=False).input_ids
            unknown = sum(token == reader.tokenizer.unk_token_id for token in ids)
            counts.append(len(ids) + 1)  # with its '.'
            if unknown == len(ids):
                unread.append(phrase)
            elif unknown:
                part_read.append(phrase)
            if counts[-1] > most:
                too_long.append(category.name)
            elif len(ids) > _LONG_TOKENS:
                long.append(category.name)
        if sum(counts) > reader.most_tokens - 2 and max(counts) <= most:
            too_many.append(category.name)
    if unread:
        what = f"{counted(len(unread), 'phrase')} the detector knows no part of"
        yield error("unknown_phrase", what, "Describe these in English words.", unread)
    if too_long:
        what = f"{counted(len(too_long), 'category', 'categories')} with a phrase of more than {most - 1} tokens"
        yield error("long_phrase", what, "The detector reads no more of a phrase: shorten it.", too_long)
    if too_many:
        what = f"{counted(len(too_many), 'category', 'categories')} whose phrases together do not fit into a prompt"
        advice = f"The detector reads {reader.most_tokens - 2} tokens at once: give fewer phrases."
        yield error("many_phrases", what, advice, too_many)
    if part_read:
        what = f"{counted(len(part_read), 'phrase')} the detector reads only in part"
        yield warning("partly_unknown_phrase", what, "Leave out signs and words of other scripts.", part_read)
    if long:
        what = f"{counted(len(long), 'category', 'categories')} with a phrase of more than {_LONG_TOKENS} tokens"
        advice = "It works, but few other names fit beside it: a shorter phrase teaches better."
        yield warning("lengthy_phrase", what, advice, long)


def _wordless(categories: Sequence[NamedPhrases]) -> Iterator[Problem]:
    names = [category.name for category in categories if readable(category) is None]
    if names:
        what = f"{counted(len(names), 'category', 'categories')} with a phrase that has no letter or digit"
        yield error("empty_phrase", what, "Describe each in words.", names)


def _shared(categories: Sequence[NamedPhrases]) -> Iterator[Problem]:
    owners: dict[str, list[str]] = defaultdict(list)
    for category in filter(None, map(readable, categories)):
        for phrase in category.phrases:
            owners[phrase].append(category.name)
    shared = [f"{phrase} ({', '.join(names)})" for phrase, names in owners.items() if len(names) > 1]
    if shared:
        what = f"{counted(len(shared), 'phrase')} that {'describes' if len(shared) == 1 else 'describe'} two categories"
        advice = "A detector can't tell them apart: give one of them another phrase, or merge the two."
        yield error("same_phrase", what, advice, shared)


def _block_ends(categories: Sequence[NamedPhrases]) -> Iterator[Problem]:
    texts = dict.fromkeys(text for category in categories for text in (category.phrases or (category.name,)))
    found = [f"{text} → {clean_phrase(text)}" for text in texts if re.search(r"[.?]", text) and clean_phrase(text)]
    if found:
        what = f"{counted(len(found), 'phrase')} with a '.' or '?', which the detector reads as a blank"
        yield warning("dot_in_phrase", what, "Write the words without it if that is not what you mean.", found)


def _sides(categories: Sequence[NamedPhrases], flip: float) -> Iterator[Problem]:
    sided = [c.name for c in categories if any(re.search(r"\b(left|right)", p, re.IGNORECASE) for p in c.phrases)]
    if sided and flip > 0:
        what = f"{counted(len(sided), 'category', 'categories')} named by left or right, while images are mirrored"
        yield warning("sided_name", what, "Train with --set flip=0 if the side matters.", sided)


def _against_prompt(subject: Subject) -> Iterator[Problem]:
    asked = [clean_phrase(part) for part in re.split(r"[.?\r\n]", subject.prompt or "") if clean_phrase(part)]
    if not asked:
        return
    known = {clean_phrase(text) for category in subject.categories for text in (category.name, *category.phrases)}
    strangers = [part for part in dict.fromkeys(asked) if part not in known]
    if strangers:
        what = f"{counted(len(strangers), 'name')} in the dataset's prompt that no category has"
        yield warning("prompt_without_category", what, "They are not taught: label some, or take them out.", strangers)
    used = {int(index) for image in subject.images for index in image.category_ids}
    missing = [
        category.name
        for index, category in enumerate(subject.categories)
        if index in used and not {clean_phrase(text) for text in (category.name, *category.phrases)} & set(asked)
    ]
    if missing:
        what = f"{counted(len(missing), 'labelled category', 'labelled categories')} the dataset's prompt does not name"
        advice = "They are taught all the same; add them to the prompt to find them with it."
        yield warning("category_not_in_prompt", what, advice, missing)
