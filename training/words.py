"""Words that say where things are, in English texts about images: what a mirrored or cut image makes untrue.

Where a word may mean something else ("right now", "left behind"), the answer is the careful one: don't mirror.
"""

import re
from collections.abc import Sequence

from engine.prompts import Span


def _any(words: str) -> str:
    return f"(?:{'|'.join(words.split())})"


_OTHER = {"left": "right", "right": "left", "clockwise": "counterclockwise", "counterclockwise": "clockwise"}
_CASES = (str.lower, str.upper, str.capitalize)

# "upper-left" and "left-hand" are two words to a regular expression, "topleft" and "leftmost" are one.
_DIRECTION = re.compile(
    rf"(?<![^\W_]){_any('top bottom upper lower mid middle center far')}?"
    rf"(?P<side>left|right){_any('most wards? hand handed side')}?(?![^\W_])"
    r"|\b(?P<turn>counterclockwise|clockwise)\b",
    re.IGNORECASE,
)

# Beside these a bare "left" or "right" is a side, whatever else stands around it ...
_SURELY_BEFORE = re.compile(rf"\b{_any('to on at from of toward towards')}\s+(?:\w+\s+)?$", re.IGNORECASE)
_SURELY_AFTER = re.compile(
    rf"\s+{_any('of side hands? corner half edge arms? legs? foot feet eyes? ears? wings? shoes?')}\b"
    r"(?!\s+(?:up|way)\b)",
    re.IGNORECASE,
)
# ... and beside these it may be the verb ("was left open"), or mean "correct" or "very" ("right now").
_DOUBTFUL_BEFORE = re.compile(
    r"\b"
    + _any(
        "has have had having was were is are isn't been being be just he she it they who that that's which what "
        "nothing something anything get gets got not all human civil animal"
    )
    + r"\s+$",
    re.IGNORECASE,
)
_DOUBTFUL_AFTER = re.compile(
    r"(?:['’]s\b|(?:-|\s+)"  # noqa: RUF001 - the apostrophe people type
    + _any(
        "a above across after against alone along an angles? angled answer around as at away before behind below "
        "beneath beside between beyond by down empty for here her his home in inside into its kind lying near "
        "next now off on onto open out outside over overs past sitting size standing that the their there thing "
        "through time to triangles? unattended under underneath unfinished untouched up wing winger whales? when "
        "while with without"
    )
    + r"\b|(?:-|\s+)side[-\s]+up\b|\s+of\s+way\b)",
    re.IGNORECASE,
)
# Short forms, the compass, clocks, and writing, which a mirror turns into what nobody can read.
_NEVER = re.compile(
    r"\b"
    + _any(
        "lft lf rt rgt l r lhs rhs lefty righty lefties righties anticlockwise counter[-\\s]+clockwise "
        "anti[-\\s]+clockwise east eastern west western o['’]?clock drivers? driver['’]s passengers? "  # noqa: RUF001
        "passenger['’]s port starboard text texts letters? lettered lettering words? numbers? numbered digits? "  # noqa: RUF001
        "numerals? written writing spells? spelled spelling reads? says? saying logos? jersey jerseys licen[cs]e"
    )
    + r"\b|\d|[\"“”]",
    re.IGNORECASE,
)
_PLACES_COMPARES_OR_COUNTS = re.compile(
    r"\b"
    + _any(
        "top bottom upper lower middle mid center centre corner edge sides? front behind back rear foreground "
        "background next beside besides between near nearer nearby far farther further away above below under "
        "underneath over beneath beyond against among opposite adjacent facing close closer first second third "
        "fourth fifth last only other another than most more less least \\w{2,}est bigger larger smaller taller "
        "shorter higher longer wider older younger two three four five six seven eight nine ten several many few "
        "both all pair couple group row line crowd image picture photo scene no not without nobody nothing"
    )
    + r"\b",
    re.IGNORECASE,
)


def mirrored_text(text: str, spans: Sequence[Span] = ()) -> tuple[str, tuple[Span, ...]] | None:
    """A text as it is true of the mirrored image, with its spans moved along; None: nobody can say.

    "left" and "right", alone and in "leftmost", "left-hand", "topright" and the like, and "clockwise" and
    "counterclockwise" change places and keep their case. Doing so twice gives the text and the spans back.

    Args:
        text: English.
        spans: [start, end) of its characters.
    """
    spans = tuple(spans)
    mirrored = _swapped(text, spans)
    return mirrored if mirrored is not None and _swapped(*mirrored) == (text, spans) else None


def says_a_side(name: str) -> bool:
    """Whether a kind of thing is another one in a mirror: "left shoe", "turn right sign"."""
    return _DIRECTION.search(name) is not None


def says_where(text: str) -> bool:
    """Whether a part of the image may make the text untrue: it places, compares or counts what it names."""
    return _PLACES_COMPARES_OR_COUNTS.search(text) is not None or _DIRECTION.search(text) is not None


def _swapped(text: str, spans: tuple[Span, ...]) -> tuple[str, tuple[Span, ...]] | None:
    """The text with every direction turned round; None where a word is doubtful or a span cuts one in two."""
    if _NEVER.search(text):
        return None
    pieces: list[tuple[int, int, str]] = []
    for word in _DIRECTION.finditer(text):
        group = "side" if word["side"] else "turn"
        other = _in_its_case(word[group])
        if other is None or _is_doubtful(text, word):
            return None
        pieces.append((*word.span(group), other))
    if any(start < edge < end for start, end, _ in pieces for span in spans for edge in span):
        return None
    return _replaced(text, pieces), tuple((_moved(start, pieces), _moved(end, pieces)) for start, end in spans)


def _in_its_case(word: str) -> str | None:
    """The other direction; None where upper and lower case are mixed."""
    lower = word.lower()
    for case in _CASES:
        if case(lower) == word:
            return str(case(_OTHER[lower]))
    return None


def _is_doubtful(text: str, word: re.Match[str]) -> bool:
    """Whether a "left" or "right" may be no side."""
    if word.group().lower() not in ("left", "right"):  # leftmost, topright
        return False
    before, after = text[: word.start()], text[word.end() :]
    if (_SURELY_BEFORE.search(before) and not _DOUBTFUL_AFTER.match(after)) or _SURELY_AFTER.match(after):
        return False
    return bool(_DOUBTFUL_BEFORE.search(before) or _DOUBTFUL_AFTER.match(after))


def _replaced(text: str, pieces: Sequence[tuple[int, int, str]]) -> str:
    result, end_before = "", 0
    for start, end, new in pieces:
        result += text[end_before:start] + new
        end_before = end
    return result + text[end_before:]


def _moved(edge: int, pieces: Sequence[tuple[int, int, str]]) -> int:
    """Where an edge that lies in no piece is after they were replaced."""
    return edge + sum(len(new) - (end - start) for start, end, new in pieces if end <= edge)
