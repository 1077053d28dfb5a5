"""The words a detector is asked for: phrases it can't read, can't tell apart, or has no room for."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annotations.captions import CaptionedImage
from engine.ontology import Category, clean_phrase
from training.checks.problem import Problem, counted, error, warning
from training.checks.subject import NamedPhrases, Subject, readable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONG_TOKENS = 32  # a phrase that takes so many leaves little room for names that are not on the image

_SPELT_TOKENS = 3


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
    read = [_read(category.name, phrase, reader) for category, phrase in _phrases(categories)]
    most = min(reader.most_tokens - 2, reader.block_tokens)
    if unread := [each.phrase for each in read if each.unknown == each.tokens]:
        what = f"{counted(len(unread), 'phrase')} the detector knows no part of"
        yield error("unknown_phrase", what, "Describe these in English words.", unread)
    if long := _names(each for each in read if each.tokens >= most):
        what = f"{counted(len(long), 'category', 'categories')} with a phrase of more than {most - 1} tokens"
        yield error("long_phrase", what, "The detector reads no more of a phrase: shorten it.", long)
    if many := _crowded(read, reader.most_tokens - 2, most):
        what = f"{counted(len(many), 'category', 'categories')} whose phrases together do not fit into a prompt"
        advice = f"The detector reads {reader.most_tokens - 2} tokens at once: give fewer phrases."
        yield error("many_phrases", what, advice, many)
    if partly := [each.phrase for each in read if 0 < each.unknown < each.tokens]:
        what = f"{counted(len(partly), 'phrase')} the detector reads only in part"
        yield warning("partly_unknown_phrase", what, "Leave out signs and words of other scripts.", partly)
    if spelt := [each.phrase for each in read if each.spelt]:
        what = f"{counted(len(spelt), 'phrase')} the detector reads letter by letter"
        yield warning("spelt_phrase", what, "Words it knows are learnt sooner: spell out abbreviations.", spelt)
    if lengthy := _names(each for each in read if _LONG_TOKENS < each.tokens < most):
        what = f"{counted(len(lengthy), 'category', 'categories')} with a phrase of more than {_LONG_TOKENS} tokens"
        advice = "It works, but few other names fit beside it: a shorter phrase teaches better."
        yield warning("lengthy_phrase", what, advice, lengthy)


def check_texts(captioned: Sequence[CaptionedImage], readable: Sequence[CaptionedImage]) -> Iterator[Problem]:
    """Captions and expressions the detector does not read to the end.

    Args:
        captioned: all images to learn from that have a text.
        readable: the same without what is too long, as `CaptionSampler.readable` gives them.
    """
    kept = {image.id: len(image.captions) for image in readable}
    short = {image.file_name: len(image.captions) - kept.get(image.id, 0) for image in captioned}
    if lost := sum(short.values()):
        texts = sum(len(image.captions) for image in captioned)
        what = f"{lost:,} of {counted(texts, 'text')} longer than the detector reads"
        yield warning("long_text", what, "They are left out: shorten them.", [name for name in short if short[name]])


@dataclass(frozen=True)
class _Read:
    """A phrase as the tokenizer sees it: its tokens (without the '.'), those unknown, whether it is only letters."""

    category: str
    phrase: str
    tokens: int
    unknown: int
    spelt: bool


def _phrases(categories: Sequence[NamedPhrases]) -> Iterator[tuple[Category, str]]:
    for category in filter(None, map(readable, categories)):
        for phrase in category.phrases:
            yield category, phrase


def _read(category: str, phrase: str, reader: Reader) -> _Read:
    ids = reader.tokenizer(phrase, add_special_tokens=False, split_special_tokens=True, verbose=False).input_ids
    unknown = sum(token == reader.tokenizer.unk_token_id for token in ids)
    letters = all(map(_is_letter, reader.tokenizer.convert_ids_to_tokens(ids)))
    return _Read(category, phrase, len(ids), unknown, letters and len(ids) >= _SPELT_TOKENS)


def _names(read: Iterable[_Read]) -> list[str]:
    return list(dict.fromkeys(each.category for each in read))


def _crowded(read: Sequence[_Read], room: int, most: int) -> list[str]:
    """Categories whose phrases fit one by one but not together, each with its '.'."""
    needed: dict[str, int] = defaultdict(int)
    for each in read:
        needed[each.category] += each.tokens + 1
    long = {each.category for each in read if each.tokens >= most}
    return [name for name, tokens in needed.items() if tokens > room and name not in long]


def _is_letter(token: str) -> bool:
    return len(token.removeprefix("##")) == 1


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
