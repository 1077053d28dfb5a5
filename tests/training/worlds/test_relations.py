"""What is said of a scene is true, and said so that only one thing, or none, can be meant."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from annotations.captions import CaptionText
from tests.training.worlds.font import needs_font
from training.worlds import captioned_scene, concepts, numbered_relation_scene
from training.worlds.concepts import CONCEPTS, THINGS
from training.worlds.held_out import is_unseen, unseen_things
from training.worlds.nouns import (
    NUMBERS,
    TOLD_CONCEPTS,
    TOLD_SHAPES,
    Description,
    description_of,
    plural,
    with_article,
)
from training.worlds.places import Thing, of_size, outermost, stands
from training.worlds.relations import TextRules, scene_texts, things_of

TOKENIZER = Path(__file__).parents[3] / "engine" / "weights" / "starter" / "tokenizer.json"

# The evaluation below knows none of the code that makes the texts: it reads them as a person would.

SINGULAR = {plural(description_of(thing).noun): description_of(thing).noun for thing in (*TOLD_CONCEPTS, *TOLD_SHAPES)}
COUNTS = {"a": 1, "an": 1} | {word: number for number, word in NUMBERS.items()}


@dataclass(frozen=True)
class Seen:
    thing: int  # as the list of things has it
    x1: float
    y1: float
    x2: float
    y2: float

    def is_a(self, words: str) -> bool:
        """Whether "striped red circle", "red circle", "striped circle", "circle" or "cat" can be said of it."""
        what = THINGS[self.thing]
        looks = {"", what.colour, what.texture, f"{what.texture} {what.colour}"}
        return words in {f"{look} {what.noun}".strip() for look in looks}


def meant(text: str, seen: list[Seen]) -> list[Seen]:
    """All that an expression could mean, by the plain sense of its words."""
    text = text.removeprefix("the ")
    if match := re.fullmatch(r"(.+) (left of|right of|above|below|next to) the (.+)", text):
        anchors = [thing for thing in seen if thing.is_a(match[3])]
        assert len(anchors) <= 1, f"{text}: several anchors"
        some = [thing for thing in seen if thing.is_a(match[1])]
        assert not set(some) & set(anchors), f"{text}: a riddle"
        return [thing for thing in some for anchor in anchors if plainly(match[2], thing, anchor)]
    pattern = r"(leftmost|rightmost|topmost|bottommost|larger|smaller|largest|smallest)(?: of the (\w+))? (.+)"
    if match := re.fullmatch(pattern, text):
        words = singular(match[3]) if match[2] else match[3]
        some = [thing for thing in seen if thing.is_a(words)]
        assert len(some) > 1
        assert not match[2] or COUNTS[match[2]] == len(some)
        assert match[1] not in ("larger", "smaller") or len(some) == 2
        return [extreme(match[1], some)]
    return [thing for thing in seen if thing.is_a(text)]


def plainly(relation: str, one: Seen, other: Seen) -> bool:
    dx, dy = (one.x1 + one.x2) - (other.x1 + other.x2), (one.y1 + one.y2) - (other.y1 + other.y2)
    if relation == "next to":
        gap_x = max(one.x1, other.x1) - min(one.x2, other.x2)
        gap_y = max(one.y1, other.y1) - min(one.y2, other.y2)
        side = np.mean([one.x2 - one.x1, one.y2 - one.y1, other.x2 - other.x1, other.y2 - other.y1])
        return bool(np.hypot(max(gap_x, 0), max(gap_y, 0)) < side)
    return {"left of": dx < 0, "right of": dx > 0, "above": dy < 0, "below": dy > 0}[relation]


def extreme(word: str, some: list[Seen]) -> Seen:
    keys = {
        "leftmost": lambda thing: thing.x1 + thing.x2,
        "rightmost": lambda thing: -thing.x1 - thing.x2,
        "topmost": lambda thing: thing.y1 + thing.y2,
        "bottommost": lambda thing: -thing.y1 - thing.y2,
        "small": lambda thing: (thing.x2 - thing.x1) * (thing.y2 - thing.y1),
        "large": lambda thing: -(thing.x2 - thing.x1) * (thing.y2 - thing.y1),
    }
    return min(some, key=keys[word if word in keys else word[:5]])


def singular(words: str) -> str:
    colour, _, noun = words.rpartition(" ") if words not in SINGULAR else ("", "", words)
    while noun not in SINGULAR:  # "hot dogs" has a space itself
        colour, _, first = colour.rpartition(" ")
        noun = f"{first} {noun}"
    return f"{colour} {SINGULAR[noun]}".strip()


def check(caption: CaptionText, seen: list[Seen]) -> None:
    """Fail unless the text is true of what is there and its boxes are those it means."""
    said = [sorted(map(tuple, phrase.boxes_xyxy.tolist())) for phrase in caption.phrases]
    if caption.kind == "expression":
        found = meant(caption.text, seen)
        assert len(found) <= 1, f"{caption.text}: could mean {found}"
        assert said == [[box(thing)] for thing in found], caption.text
        return
    groups = []
    for phrase, boxes in zip(caption.phrases, said, strict=True):
        words = " ".join(caption.text[start:end] for start, end in phrase.spans)
        number, rest = words.split(" ", 1)
        name = rest if COUNTS[number] == 1 else singular(rest)
        found = [thing for thing in seen if thing.is_a(name)]
        assert boxes == sorted(map(box, found)), f"{words} in {caption.text}"
        assert len(found) == COUNTS[number], f"{words} in {caption.text}"
        groups.append(found)
    if match := re.search(r" (left of|right of|above|below|next to) ", caption.text):
        some, (anchor,) = groups
        assert all(plainly(match[1], thing, anchor) for thing in some), caption.text
    else:
        assert sorted(box(thing) for group in groups for thing in group) == sorted(map(box, seen)), caption.text


def box(thing: Seen) -> tuple[float, float, float, float]:
    return thing.x1, thing.y1, thing.x2, thing.y2


def layouts(count: int, rules: TextRules | None = None) -> Iterator[tuple[list[Thing], list[Seen], list[CaptionText]]]:
    """Things at random places, of few kinds, and what is said of them; nothing is drawn."""
    for index in range(count):
        rng = np.random.default_rng((11, index))
        kinds = [*rng.choice(TOLD_CONCEPTS, 2), *rng.choice(TOLD_SHAPES, 3)]
        corners = rng.integers(0, 300, (int(rng.integers(1, 8)), 2))
        boxes = np.hstack([corners, corners + rng.integers(10, 90, corners.shape)]).astype(float).tolist()
        labels = [int(label) for label in rng.choice(kinds, len(boxes))]
        things = [Thing(description_of(label), tuple(box)) for label, box in zip(labels, boxes, strict=True)]
        seen = [Seen(label, *box) for label, box in zip(labels, boxes, strict=True)]
        yield things, seen, scene_texts(rng, things, rules or TextRules(expressions=12, absent_share=0.3))


def test_what_is_said_is_true_of_the_boxes() -> None:
    heard: set[str] = set()
    for _, seen, texts in layouts(400):
        for caption in texts:
            check(caption, seen)
            said = {
                f"the {word}" for word in re.findall(r"\w+most|larger|smaller|largest|smallest|next to", caption.text)
            }
            heard |= said | set(re.findall(r"left of|right of|above|below", caption.text)) | {caption.kind}
            heard |= {"no target"} if not caption.phrases else set()
            heard |= {"two spans" for phrase in caption.phrases if len(phrase.spans) > 1}
            heard |= {"two boxes" for phrase in caption.phrases if len(phrase.boxes_xyxy) > 1}
    assert heard == {
        *("the leftmost", "the rightmost", "the topmost", "the bottommost"),
        *("the larger", "the smaller", "the largest", "the smallest", "the next to"),
        *("left of", "right of", "above", "below"),
        *("caption", "expression", "no target", "two spans", "two boxes"),
    }


@needs_font
def test_what_is_said_of_rendered_scenes_is_true() -> None:
    for index in range(25):
        captioned = captioned_scene(5, index, longest_px=128)
        rows = zip(captioned.scene.labels.tolist(), captioned.scene.boxes_xyxy.tolist(), strict=True)
        seen = [Seen(label, *corners) for label, corners in rows]
        for caption in captioned.captions:
            check(caption, seen)


def test_a_lie_is_found_out() -> None:
    """The evaluation itself: it must not call everything true."""
    _, seen, texts = next(
        row for row in layouts(400) if any(text.kind == "expression" and text.phrases for text in row[2])
    )
    true = next(text for text in texts if text.kind == "expression" and text.phrases)
    with pytest.raises(AssertionError):
        check(CaptionText(0, true.text, "expression", ()), seen)


def test_no_text_of_a_scene_comes_twice_and_there_are_no_more_than_asked_for() -> None:
    for _, _, texts in layouts(60):
        assert len({text.text for text in texts}) == len(texts)
        assert sum(text.kind == "caption" for text in texts) <= 2
        assert sum(text.kind == "expression" for text in texts) <= 12


def test_about_the_wanted_share_of_expressions_means_nothing() -> None:
    said = [text for _, _, texts in layouts(200) for text in texts if text.kind == "expression"]
    absent = sum(not text.phrases for text in said) / len(said)
    assert 0.25 < absent < 0.45  # of 0.3, as true ones run out first


def test_only_the_wanted_kinds_are_said_and_those_named_often_more_often() -> None:
    rules = TextRules(captions=0, expressions=2, absent_share=0, kinds=("side", "size", "size", "size"))
    said = [text.text for *_, texts in layouts(200, rules) for text in texts]
    sides = [text for text in said if re.match(r"the (left|right|top|bottom)most ", text)]
    sizes = [text for text in said if re.match(r"the (larger|smaller|largest|smallest) ", text)]
    assert len(sides) + len(sizes) == len(said) > 100
    assert 0 < len(sides) < len(sizes)


def test_the_words_are_whole_for_the_starters_tokenizer() -> None:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    words = {text.text for _, _, texts in layouts(150) for text in texts}
    words |= {plural(description_of(thing).noun) for thing in (*TOLD_CONCEPTS, *TOLD_SHAPES)}
    assert [text for text in words if "[UNK]" in tokenizer.encode(text).tokens] == []


@needs_font
def test_the_same_seed_and_number_give_the_same_scene_and_texts() -> None:
    image, captions = numbered_relation_scene(3, 4, longest_px=128)
    again, captions_again = numbered_relation_scene(3, 4, longest_px=128)
    other, captions_other = numbered_relation_scene(3, 5, longest_px=128)
    np.testing.assert_array_equal(image, again)
    assert [caption.content for caption in captions] == [caption.content for caption in captions_again]
    assert image.shape != other.shape or (image != other).any()
    assert [caption.text for caption in captions] != [caption.text for caption in captions_other]


@needs_font
def test_things_of_a_scene_keep_its_order() -> None:
    scene = captioned_scene(1, 0, longest_px=128).scene
    things = things_of(scene)
    assert [thing.box for thing in things] == [tuple(row) for row in scene.boxes_xyxy.tolist()]


CAT = Description("cat")


def thing(x1: float, y1: float, x2: float, y2: float) -> Thing:
    return Thing(CAT, (x1, y1, x2, y2))


HERE = thing(100, 100, 120, 120)


@pytest.mark.parametrize(
    ("one", "left", "above", "near"),
    [
        (thing(70, 100, 90, 120), True, False, True),  # 10 px to the left: half a side; its center is level
        (thing(0, 100, 20, 120), True, False, False),  # 80 px: four sides
        (thing(60, 100, 80, 120), True, False, None),  # 20 px, one side: neither near nor far
        (thing(85, 100, 105, 120), None, False, True),  # it reaches over the left edge
        (thing(100, 100, 120, 120), False, False, True),
        (thing(150, 100, 170, 120), False, False, False),  # 30 px: one and a half sides
        (thing(70, 20, 90, 40), None, True, False),  # 30 across, 80 up: too steep for "left of"
        (thing(70, 40, 90, 60), True, True, False),  # 30 across, 60 up: twice as much is still both
    ],
)
def test_relations_are_told_only_where_they_are_clear(
    one: Thing, left: bool | None, above: bool | None, near: bool | None
) -> None:
    assert stands("left of", one, HERE) is left
    assert stands("right of", HERE, one) is left
    assert stands("above", one, HERE) is above
    assert stands("below", HERE, one) is above
    assert stands("next to", one, HERE) is near


def test_the_outermost_and_the_largest_must_stand_out() -> None:
    small, near, far = thing(0, 0, 20, 20), thing(9, 0, 29, 20), thing(10, 0, 30, 20)
    assert outermost("leftmost", [far, small]) == small  # centers 10 px apart, half a width
    assert outermost("leftmost", [near, small]) is None
    wide = thing(0, 0, 32, 20)  # 640 px against 400: 1.6 times
    assert of_size("larger", [small, wide]) == wide
    assert of_size("smaller", [small, wide]) == small
    assert of_size("larger", [small, thing(0, 0, 31, 20)]) is None
    assert of_size("larger", [wide, small, thing(0, 0, 31, 20)]) is None  # 640 against 620


@needs_font
def test_nothing_held_out_is_shown_or_said() -> None:
    held_out = {THINGS[thing].name for thing in unseen_things()} - {concept.name for concept in CONCEPTS}
    for index in range(60):
        captioned = captioned_scene(13, index, longest_px=96, texts=TextRules(expressions=12, absent_share=0.4))
        assert not any(is_unseen(label) for label in captioned.scene.labels.tolist())
        for text in captioned.captions:
            assert not [name for name in held_out if re.search(rf"\b{name}\b", text.text)], text.text


def test_no_noun_that_is_told_is_the_kind_of_other_things() -> None:
    """A black bird is a bird, and so is an owl: "the bird" would be said to mean one of them only."""
    _, *rows = (Path(concepts.__file__).with_name("concepts.tsv")).read_text(encoding="utf-8").splitlines()
    kinds = {row.split("\t")[6] for row in rows}
    assert {"bird", "insect"} <= kinds
    assert kinds.isdisjoint(CONCEPTS[index].noun for index in TOLD_CONCEPTS)


def test_articles_are_those_that_are_spoken() -> None:
    said = {noun: with_article(noun) for noun in ("onion", "unicorn", "hourglass", "house", "one piece swimsuit")}
    assert said == {
        "onion": "an onion",
        "unicorn": "a unicorn",
        "hourglass": "an hourglass",
        "house": "a house",
        "one piece swimsuit": "a one piece swimsuit",
    }
