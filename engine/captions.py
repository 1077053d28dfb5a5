"""The things a plain sentence names, found by rules rather than by a language model.

The rules are for English captions such as "a man in a red shirt rides a horse". A phrase is a run of
words between punctuation, prepositions, conjunctions, pronouns, common verbs and other -ing forms;
articles, possessives and numbers before it are dropped, and so are a run of nothing but words of place
("the left") and the side before "of" ("a cat left of a dog"). Verbs outside the list stay in a phrase:
pass a `Caption` with spans where that matters.
"""

import re
from collections.abc import Iterator

from engine.detector import Caption
from engine.errors import PromptError, quoted
from engine.prompts import Span

_WORD = re.compile(r"[^\W_]+(?:['’\-/][^\W_]+)*")  # noqa: RUF001 - the apostrophe people type


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BREAKS = _words(
    # prepositions
    "about above across after against along among around as at before behind below beneath beside besides between "
    "beyond by down during for from in inside into like near next of off on onto opposite out outside over past "
    "through to toward towards under underneath up upon via with within without "
    # conjunctions and pronouns
    "and or but nor so yet while when where which who whom whose that there here it he she they them him we you i "
    "someone something another other others each both one not also very just then than "
    # verbs that captions are full of
    "am is are was were be been being has have had do does did can could will would may might must shall should "
    "sit sits sat stand stands stood lie lies lay hold holds held wear wears wore ride rides rode walk walks walked "
    "run runs ran look looks looked play plays played eat eats ate drink drinks use uses used carry carries carried "
    "watch watches watched jump jumps jumped fly flies flew show shows showed shown see sees seen get gets go goes "
    "make makes made take takes took put puts hang hangs hung rest rests rested lean leans leaned parked filled "
    "covered surrounded topped placed taken dressed seated"
)
_LEADING = _words(
    "a an the this these those some any many several few all no his her its their my your our "
    "two three four five six seven eight nine ten eleven twelve couple pair group bunch lot lots"
)
_PLACES = _words(
    "left right top bottom front back side sides middle center centre background foreground end edge corner "
    "image picture photo photograph view scene"
)
_ING_NOUNS = _words(
    "king ring wing swing sling string thing spring building ceiling painting clothing railing awning wedding evening "
    "morning lightning crossing icing frosting topping dressing pudding duckling gosling seedling herring earring"
)


def caption_of(text: str) -> Caption:
    """The caption with a span for each thing it names; the whole sentence where the rules find none.

    Raises:
        PromptError: the text has no word.
    """
    spans = tuple(_phrases(text))
    if not spans:
        words = list(_WORD.finditer(text))
        if not words:
            raise PromptError(f"Caption {quoted(text)} has no word. Write a sentence that names what to find.")
        spans = ((words[0].start(), words[-1].end()),)
    return Caption(text, spans)


def _phrases(text: str) -> Iterator[Span]:
    """The characters of each run of words that names something."""
    run: list[re.Match[str]] = []
    article = False  # an -ing form right after an article describes ("a running dog"), elsewhere it acts
    end = 0
    for word in _WORD.finditer(text):
        lower = word.group().lower()
        acts = lower.endswith("ing") and lower not in _ING_NOUNS and not article
        if text[end : word.start()].strip() or lower in _BREAKS or lower in _LEADING or acts:
            yield from _named(_without_side(run) if lower == "of" else run)
            run = []
        if lower not in _BREAKS and lower not in _LEADING and not acts:
            run.append(word)
        article = lower in _LEADING
        end = word.end()
    yield from _named(run)


def _without_side(run: list[re.Match[str]]) -> list[re.Match[str]]:
    """The run without "left" or "right" at its end, which say how it stands to what follows."""
    return run[:-1] if run and run[-1].group().lower() in ("left", "right") else run


def _named(run: list[re.Match[str]]) -> Iterator[Span]:
    """The span of a run of words, unless it only says where."""
    if any(word.group().lower() not in _PLACES for word in run):
        yield run[0].start(), run[-1].end()
