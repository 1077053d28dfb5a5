"""Reads the text of an ODVG line: which words mean which boxes, and whether it is one expression."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from annotations.captions import Span, covers
from annotations.importers.parsed import ParsedCaption, ParsedPhrase
from annotations.names import printable, shortened
from annotations.shapes import Box, four_numbers


def grounding_caption(where: str, grounding: object) -> ParsedCaption:
    """The caption or expression of a line.

    It is an expression when the line says `"expression": true`, or when each region's spans cover all its words;
    its regions' boxes are meant together then. No region means nothing on the picture, and needs the line's word.

    Raises:
        ValueError: one line that says what is wrong with it.
    """
    if not isinstance(grounding, dict) or not isinstance(grounding.get("caption"), str):
        raise ValueError("it has no caption that is text")
    text = _one_line(grounding["caption"])
    regions = grounding.get("regions")
    if not isinstance(regions, list):
        raise ValueError("its regions are not a list")
    said = grounding.get("expression")
    if said is not None and not isinstance(said, bool):
        raise ValueError(f"its expression is {_brief(said)}, not true or false")
    if not regions and not said:
        raise ValueError('it has no region; add "expression": true when it means nothing on the picture')
    phrases = _merged(_phrase(place, region, text, said) for place, region in enumerate(regions, start=1))
    if said or (said is None and all(covers(phrase.spans, text) for phrase in phrases)):
        boxes = tuple(dict.fromkeys(box for phrase in phrases for box in phrase.boxes))
        whole = ((0, len(text)),)
        return ParsedCaption(where, text, "expression", (ParsedPhrase(whole, boxes),) if boxes else ())
    return ParsedCaption(where, text, "caption", tuple(phrases))


def _one_line(text: str) -> str:
    """The text with spaces for line breaks and other controls, one for one, as spans count characters."""
    return "".join(" " if unicodedata.category(sign) in ("Cc", "Zl", "Zp") else sign for sign in text)


def _phrase(place: int, region: object, text: str, is_expression: bool | None) -> ParsedPhrase:
    if not isinstance(region, dict):
        raise ValueError(f"region {place} is {_brief(region)}, not an object")
    try:
        boxes = _boxes(region.get("bbox"))
        spans = ((0, len(text)),) if is_expression else _spans(region, text)
    except ValueError as error:
        raise ValueError(f"region {place}: {error}") from error
    return ParsedPhrase(spans, boxes)


def _boxes(value: object) -> tuple[Box, ...]:
    """One box, or a list of them."""
    rows = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    return tuple(four_numbers(row) for row in rows)


def _spans(region: Mapping[str, Any], text: str) -> tuple[Span, ...]:
    """The words that a region is about: its tokens_positive, else where its phrase stands in the text."""
    given = region.get("tokens_positive")
    if given is None:
        return _found(region.get("phrase"), text)
    if not isinstance(given, list) or not given:
        raise ValueError(f"its tokens_positive are {_brief(given)}, not a list of [start, end]")
    spans = sorted({_span(pair, text) for pair in given})
    for (_, end_before), (start, end) in pairwise(spans):
        if start < end_before:
            raise ValueError(f"its span [{start}, {end}] overlaps the one before it")
    return tuple(spans)


def _span(pair: object, text: str) -> Span:
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or not all(isinstance(end, int) and not isinstance(end, bool) for end in pair)
    ):
        raise ValueError(f"its span {_brief(pair)} is not [start, end] in whole numbers")
    start, end = pair
    if start >= end:
        raise ValueError(f"its span {pair} is reversed or empty")
    if start < 0 or end > len(text):
        raise ValueError(f"its span {_brief(pair)} is not within the {len(text)} characters")
    return start, end


def _found(phrase: object, text: str) -> tuple[Span, ...]:
    """Where the words of a phrase stand; each part once."""
    parts = [part.strip() for part in (phrase if isinstance(phrase, list) else [phrase]) if isinstance(part, str)]
    if not parts or not all(parts):
        raise ValueError("it has neither tokens_positive nor a phrase")
    spans = []
    for part in parts:
        places = list(re.finditer(rf"(?<!\w){re.escape(part)}(?!\w)", text, re.IGNORECASE))
        if len(places) != 1:
            raise ValueError(
                f"its phrase {_brief(part)} stands {len(places)} times in the caption: add tokens_positive"
            )
        spans.append(places[0].span())
    return tuple(sorted(spans))


def _merged(phrases: Iterator[ParsedPhrase]) -> list[ParsedPhrase]:
    """Regions about the same words as one phrase, each box once."""
    by_spans: dict[tuple[Span, ...], dict[Box, None]] = {}
    for phrase in phrases:
        by_spans.setdefault(phrase.spans, {}).update(dict.fromkeys(phrase.boxes))
    return [ParsedPhrase(spans, tuple(boxes)) for spans, boxes in by_spans.items()]


def _brief(value: object) -> str:
    return shortened(printable(repr(value)))
