"""Captions and expressions come back as they went in, and none goes in that can't be true."""

from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import IntegrityError

from annotations.captions import CaptionText, Phrase, add_captions, captioned_images, expression, image_captions
from annotations.database import Store
from annotations.datasets import create_dataset
from annotations.errors import EditRefused, NotFound
from annotations.models import Caption, Image, Region
from common.boxes import Boxes
from tests.annotations.makers import Scene, make_image, make_scene

TEXT = "two cats and, on the sofa, a dog"


def boxes(*rows: tuple[float, float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 4)


def caption(words: str = TEXT, *phrases: Phrase) -> CaptionText:
    default = (
        Phrase(((0, 8),), boxes((1, 2, 11, 12), (20, 2, 30.5, 12))),
        Phrase(((14, 25), (27, 32)), boxes((40, 40, 60, 70))),
    )
    return CaptionText(0, words, "caption", phrases or default)


def add(store: Store, scene: Scene, *texts: CaptionText) -> list[int]:
    with store.writing() as session:
        return add_captions(session, scene.image_id, texts)


def read(store: Store, scene: Scene, split: Any = None) -> list[Any]:
    with store.reading() as session:
        return captioned_images(session, scene.dataset_id, split)


def counts(store: Store) -> tuple[int, int]:
    with store.reading() as session:
        captions = session.scalar(select(func.count()).select_from(Caption)) or 0
        return captions, session.scalar(select(func.count()).select_from(Region)) or 0


def test_phrases_come_back_with_their_spans_and_boxes(store: Store) -> None:
    scene = make_scene(store)
    ids = add(store, scene, caption(), expression("the left cat", boxes((1, 2, 11, 12))))
    image = read(store, scene)[0]
    assert (image.id, image.file_name, image.width, image.height, image.split) == (
        scene.image_id,
        "0.png",
        100,
        80,
        None,
    )
    first, second = image.captions
    assert [first.id, second.id] == ids
    assert (first.text, first.kind) == (TEXT, "caption")
    assert [phrase.spans for phrase in first.phrases] == [((0, 8),), ((14, 25), (27, 32))]
    assert first.phrases[0].boxes_xyxy.tolist() == [[1, 2, 11, 12], [20, 2, 30.5, 12]]
    assert first.phrases[1].boxes_xyxy.dtype == np.float32
    assert (second.kind, second.phrases[0].spans) == ("expression", ((0, 12),))


def test_any_text_comes_back_with_the_same_content(store: Store) -> None:
    scene = make_scene(store)
    rng = np.random.default_rng(0)
    texts = []
    for number in range(40):
        words = " ".join(rng.choice(["cat", "chat 猫", "<b>", "${x}", "a/b", "'; DROP TABLE caption"], 4))
        ends = np.sort(rng.choice(np.arange(1, len(words)), 2, replace=False)).tolist()
        corners = rng.uniform(0, 40, (int(rng.integers(1, 4)), 2))
        found = np.hstack([corners, corners + rng.uniform(1, 40, corners.shape)]).round(3).astype(np.float32)
        spans = ((0, ends[0]), (ends[1], len(words)))
        texts.append(caption(words, Phrase(spans, found)) if number % 2 else expression(words, found))
    add(store, scene, *texts)
    assert [text.content for text in read(store, scene)[0].captions] == [text.content for text in texts]
    with store.reading() as session:
        assert [text.content for text in image_captions(session, scene.image_id)] == [text.content for text in texts]
        assert image_captions(session, 99) == []


def test_an_expression_that_means_nothing_has_no_phrase(store: Store) -> None:
    scene = make_scene(store)
    add(store, scene, expression("the horse", boxes()))
    assert read(store, scene)[0].captions[0].phrases == ()


def test_later_texts_stand_behind_the_earlier_ones(store: Store) -> None:
    scene = make_scene(store)
    for words in ("a", "b", "c"):
        add(store, scene, expression(words, boxes()))
    assert [entry.text for entry in read(store, scene)[0].captions] == ["a", "b", "c"]


def test_boxes_are_cut_at_the_edge_of_the_image(store: Store) -> None:
    scene = make_scene(store)
    add(store, scene, expression("the cat", boxes((-5, 10, 200, 90))))
    assert read(store, scene)[0].captions[0].phrases[0].boxes_xyxy.tolist() == [[0, 10, 100, 80]]


def test_one_box_outside_the_image_keeps_all_the_texts_out(store: Store) -> None:
    scene = make_scene(store)
    with pytest.raises(EditRefused, match=r"^A box of 'the dog' covers less than 1 px .* 100 x 80 px image\."):
        add(store, scene, caption(), expression("the dog", boxes((100.5, 1, 120, 9))))
    assert counts(store) == (0, 0)


def test_only_images_of_the_split_that_have_texts_are_read(store: Store) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        second = make_image(session, scene.dataset_id, 1)
        make_image(session, scene.dataset_id, 2).split = "val"
        second.split = "val"
        add_captions(session, second.id, [expression("a cat", boxes())])
        add_captions(session, scene.image_id, [expression("a dog", boxes())])
        other = make_image(session, make_dataset(session), 0)
        add_captions(session, other.id, [expression("elsewhere", boxes())])
    assert [image.file_name for image in read(store, scene)] == ["0.png", "1.png"]
    assert [image.file_name for image in read(store, scene, "val")] == ["1.png"]
    assert read(store, scene, "test") == []


def make_dataset(session: Any) -> int:
    return create_dataset(session, "other").id


def test_reading_takes_three_statements_whatever_the_number_of_images(store: Store) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        for position in range(1, 6):
            image = make_image(session, scene.dataset_id, position)
            add_captions(session, image.id, [caption(), caption()])
    statements: list[str] = []
    with store.reading() as session:
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        assert len(captioned_images(session, scene.dataset_id)) == 5
    assert len(statements) == 3


def test_texts_of_an_image_go_with_it(store: Store) -> None:
    scene = make_scene(store)
    add(store, scene, caption())
    assert counts(store) == (1, 3)
    with store.writing() as session:
        session.delete(session.get_one(Image, scene.image_id))
    assert counts(store) == (0, 0)


def test_texts_need_an_image_that_is_there(store: Store) -> None:
    with pytest.raises(NotFound), store.writing() as session:
        add_captions(session, 99, [caption()])


ONE = boxes((1, 2, 11, 12))


@pytest.mark.parametrize(
    ("words", "phrases", "reason"),
    [
        ("  ", (Phrase(((0, 1),), ONE),), "The caption is empty"),
        ("x" * 10_001, (Phrase(((0, 1),), ONE),), "has 10001 characters; 10000 is the most"),
        ("a\ncat", (Phrase(((0, 1),), ONE),), r"'a\\ncat' holds a line break"),
        ("a \ud800 cat", (Phrase(((0, 1),), ONE),), "holds a line break or control character"),
        ("a cat", (Phrase((), ONE),), "A phrase without a span in 'a cat'"),
        ("a cat", (Phrase(((3, 6),), ONE),), r"The span \[3, 6\) is .* not within the 5 characters in 'a cat'"),
        ("a cat", (Phrase(((-1, 3),), ONE),), r"The span \[-1, 3\)"),
        ("a cat", (Phrase(((3, 2),), ONE),), r"The span \[3, 2\) is reversed"),
        ("a cat", (Phrase(((2, 2),), ONE),), r"The span \[2, 2\) is reversed"),
        ("a cat", (Phrase(((2, 5), (0, 1)), ONE),), r"The span \[0, 1\) is .* out of order"),
        ("a cat", (Phrase(((0, 3), (2, 5)), ONE),), r"The span \[2, 5\)"),
        ("a cat", (Phrase(((1, 2),), ONE),), r"The span \[1, 2\) marks no word"),
        ("a cat", (Phrase(((0, 5),), boxes()),), r"boxes of shape \(0, 4\)"),
        ("a cat", (Phrase(((0, 5),), boxes((5, 2, 5, 9))),), "not finite or has no area"),
        ("a cat", (Phrase(((0, 5),), boxes((1, 2, float("nan"), 9))),), "not finite or has no area"),
    ],
)
def test_a_caption_that_cannot_be_true_is_refused_in_one_line(
    words: str, phrases: tuple[Phrase, ...], reason: str
) -> None:
    with pytest.raises(EditRefused, match=reason) as refused:
        caption(words, *phrases)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200


def test_a_caption_without_any_phrase_is_refused() -> None:
    with pytest.raises(EditRefused, match="has no phrase with a box"):
        CaptionText(0, "a cat", "caption", ())


def test_an_expression_is_one_phrase_of_all_its_words() -> None:
    with pytest.raises(EditRefused, match="leave words out"):
        CaptionText(0, "the left cat", "expression", (Phrase(((0, 8),), ONE),))
    with pytest.raises(EditRefused, match="has 2 phrases"):
        CaptionText(0, "a cat", "expression", (Phrase(((0, 5),), ONE), Phrase(((0, 5),), ONE)))
    CaptionText(0, "the left cat. ", "expression", (Phrase(((0, 3), (4, 8), (9, 12)), ONE),))


def test_an_unknown_kind_is_refused() -> None:
    kind: Any = "story"
    with pytest.raises(EditRefused, match="'story' is no kind of caption"):
        CaptionText(0, "a cat", kind, ())


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("INSERT INTO caption (image_id, text, kind, position) VALUES (1, '', 'caption', 0)", "caption_has_text"),
        ("INSERT INTO caption (image_id, text, kind, position) VALUES (1, 'a', 'x', 0)", "caption_kind_is_known"),
        ("INSERT INTO caption (image_id, text, kind, position) VALUES (1, 'a', 'caption', 0)", "UNIQUE"),
        ("INSERT INTO caption (image_id, text, kind, position) VALUES (9, 'a', 'caption', 0)", "FOREIGN KEY"),
        ("UPDATE region SET x2 = x1", "box_has_area"),
        ("UPDATE region SET phrase_index = -1", "region_phrase_index_counts_from_0"),
        ("UPDATE region SET caption_id = 99", "FOREIGN KEY"),
    ],
)
def test_the_database_keeps_the_rules_too(store: Store, statement: str, rule: str) -> None:
    scene = make_scene(store)
    add(store, scene, caption())
    with pytest.raises(IntegrityError, match=rule), store.writing() as session:
        session.execute(text(statement))
