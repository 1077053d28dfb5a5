"""Captions of a scene: what is in it, word by word, with the boxes that each phrase means."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import get_args

import numpy as np

from annotations.captions import CaptionText, Phrase, Span
from training.worlds.expressions import fitting
from training.worlds.nouns import NUMBERS, Description, counted
from training.worlds.places import Relation, Thing, stands
from training.worlds.textures import Rng

_MOST = max(NUMBERS)  # things one phrase can count


@dataclass
class _Sentence:
    """Words as they are said, with what they mean."""

    text: str = ""
    phrases: list[Phrase] = field(default_factory=list)

    def say(self, words: str) -> Span:
        """Add words behind a space; returns where they stand."""
        if self.text and not words.startswith((",", ".")):
            self.text += " "
        start = len(self.text)
        self.text += words
        return start, len(self.text)

    def mean(self, things: Sequence[Thing], *spans: Span) -> None:
        """Let words that were said stand for things."""
        self.phrases.append(Phrase(spans, np.array([thing.box for thing in things], np.float32).reshape(-1, 4)))

    def caption(self) -> CaptionText:
        """The caption, not stored yet."""
        return CaptionText(0, self.text, "caption", tuple(self.phrases))


def listing(rng: Rng, things: Sequence[Thing]) -> CaptionText | None:
    """All that is there: "two cats, a red and a blue circle and a dog"; None where more than six are alike."""
    groups = _countable(things)
    if groups is None:
        return None
    sentence = _Sentence()
    order = rng.permutation(len(groups)).tolist()
    for place, index in enumerate(order):
        if place:
            sentence.say("and" if place == len(order) - 1 else ",")
        _say_group(rng, sentence, groups[index])
    return sentence.caption()


def _countable(things: Sequence[Thing]) -> list[list[Thing]] | None:
    """The things of each noun; None where there are none, or more than six are alike."""
    nouns = sorted({thing.description.noun for thing in things})
    groups = [fitting(Description(noun), things) for noun in nouns]
    return groups if groups and max(map(len, groups)) <= _MOST else None


def placing(rng: Rng, things: Sequence[Thing]) -> CaptionText | None:
    """How one kind of thing stands to another: "two cats left of a dog"; None where nothing is clear."""
    told = list(_told_relations(things))
    if not told:
        return None
    some, relation, other = told[rng.integers(len(told))]
    sentence = _Sentence()
    sentence.mean(some, sentence.say(counted(_common(some), len(some))))
    sentence.say(relation)
    sentence.mean([other], sentence.say(counted(_common([other]), 1)))
    return sentence.caption()


def _say_group(rng: Rng, sentence: _Sentence, group: Sequence[Thing]) -> None:
    """The things of one noun: together, or by colour where each has one."""
    by_colour = [
        (colour, list(members))
        for colour, members in groupby(
            sorted(group, key=lambda thing: thing.description.colour), lambda thing: thing.description.colour
        )
    ]
    noun = group[0].description.noun
    numbers = {len(members) > 1 for _, members in by_colour}
    if not all(colour for colour, _ in by_colour) or rng.random() < 0.2:
        sentence.mean(group, sentence.say(counted(Description(noun), len(group))))
    elif len(by_colour) == 2 and len(numbers) == 1:
        _say_pair(sentence, noun, by_colour)
    else:
        for place, (colour, members) in enumerate(by_colour):
            if place:
                sentence.say("and")
            sentence.mean(members, sentence.say(counted(Description(noun, colour), len(members))))


def _say_pair(sentence: _Sentence, noun: str, by_colour: Sequence[tuple[str, Sequence[Thing]]]) -> None:
    """Two colours that share their noun, "a red and a blue circle": the first phrase has two spans."""
    (first_colour, first), (second_colour, second) = by_colour
    last_word = counted(Description(noun), len(first)).split(" ", 1)[1]
    first_words = counted(Description(noun, first_colour), len(first)).removesuffix(f" {last_word}")
    head = sentence.say(first_words)
    sentence.say("and")
    whole = sentence.say(counted(Description(noun, second_colour), len(second)))
    tail = whole[1] - len(last_word), whole[1]
    sentence.mean(first, head, tail)
    sentence.mean(second, whole)


def _told_relations(things: Sequence[Thing]) -> Iterator[tuple[list[Thing], Relation, Thing]]:
    """All things of a noun that clearly stand in one relation to the only thing of another."""
    relations: tuple[Relation, ...] = get_args(Relation)
    groups = [fitting(Description(noun), things) for noun in sorted({thing.description.noun for thing in things})]
    for some in groups:
        for other in groups:
            if some is not other and len(other) == 1 and len(some) <= _MOST:
                for relation in relations:
                    if all(stands(relation, thing, other[0]) for thing in some):
                        yield some, relation, other[0]


def _common(things: Sequence[Thing]) -> Description:
    """What is said of all: the colour only where they share it."""
    descriptions = {thing.description for thing in things}
    return descriptions.pop() if len(descriptions) == 1 else Description(things[0].description.noun)
