"""Captions and expressions asked of a detector that answers from a list."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import supervision as sv

from common.images import ImageRefused, ImageRGB
from engine.detector import Caption
from engine.errors import PromptError
from engine.ontology import Ontology
from engine.preprocessing import Picture
from training.metrics.captions import evaluate_expressions, evaluate_phrases
from training.metrics.phrases import PhraseLabels
from training.metrics.readers.samples import ImageFile, PhraseSample, ReferringSample

A, B, C = [0.0, 0, 10, 10], [20.0, 0, 30, 10], [40.0, 0, 50, 10]
FIRST, SECOND = ImageFile("first.png", 60, 20), ImageFile("second.png", 60, 20)


class Oracle:
    """Answers each text with boxes that were written down for it: (xyxy, score, class)."""

    name = "oracle"
    device = "cpu"

    def __init__(self, answers: dict[str, list[tuple[list[float], float, int]]]) -> None:
        self.answers = answers
        self.asked: list[Caption] = []

    def detect(
        self, images: Sequence[Picture], ontology: Ontology, *, threshold: float = 0.3, top_k: int = 300
    ) -> list[sv.Detections]:
        raise NotImplementedError

    def ground(
        self, images: Sequence[Picture], captions: Sequence[str | Caption], *, threshold: float = 0.3, top_k: int = 300
    ) -> list[sv.Detections]:
        assert (threshold, top_k) == (0, 300)  # the published protocol's
        asked = [caption for caption in captions if isinstance(caption, Caption)]
        self.asked += asked
        return [self._answer(caption.text) for caption in asked]

    def refer(
        self, images: Sequence[Picture], expressions: Sequence[str], *, threshold: float = 0.3, top_k: int = 1
    ) -> list[sv.Detections]:
        assert threshold == 0 and top_k >= 10
        return [self._answer(text) for text in expressions]

    def _answer(self, text: str) -> sv.Detections:
        if text not in self.answers:
            raise PromptError(f"{text!r} is too long.")
        rows = self.answers[text]
        return sv.Detections(
            np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
            confidence=np.array([score for _, score, _ in rows], np.float32),
            class_id=np.array([label for _, _, label in rows], int),
        )


def boxes(*xyxy: list[float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(xyxy, np.float32).reshape(-1, 4)


def phrases(
    text: str, *means: tuple[tuple[tuple[int, int], ...], list[list[float]]], image: ImageFile = FIRST
) -> PhraseSample:
    spans = tuple(spans for spans, _ in means)
    return PhraseSample(image, text, spans, PhraseLabels(tuple(boxes(*found) for _, found in means)))


def reader(read: list[str]) -> Callable[[ImageFile], ImageRGB]:
    def picture_of(image: ImageFile) -> ImageRGB:
        read.append(image.file_name)
        return np.zeros((image.height, image.width, 3), np.uint8)

    return picture_of


def test_the_phrases_of_captions_are_ranked_each_for_itself() -> None:
    samples = [
        # "cat" at once; "dogs" (B and C) second: the first box is around neither, the second is B
        phrases("a cat and dogs", (((2, 5),), [A]), (((10, 14),), [B, C])),
        phrases("a cat", (((2, 5),), [A]), image=SECOND),  # nothing is found
    ]
    oracle = Oracle({"a cat and dogs": [(A, 0.9, 0), (A, 0.8, 1), (B, 0.7, 1), (C, 0.1, 0)], "a cat": []})
    read: list[str] = []
    told: list[tuple[int, int]] = []
    found = evaluate_phrases(oracle, samples, reader(read), progress=lambda *step: told.append(step))
    assert found.metrics["R@1"] == pytest.approx(1 / 3)
    assert found.metrics["R@5"] == found.metrics["R@10"] == pytest.approx(2 / 3)
    # merged, "dogs" are one box from 20 to 50: B covers a third of it
    assert found.metrics["merged R@1"] == found.metrics["merged R@10"] == pytest.approx(1 / 3)
    assert (found.images, read, told) == (2, ["first.png", "second.png"], [(1, 2), (2, 2)])


def test_a_phrase_in_pieces_is_asked_as_one() -> None:
    oracle = Oracle({"a man sits with a hat": [(A, 0.9, 0), (B, 0.9, 1)]})
    sample = phrases("a man sits with a hat", (((0, 5), (11, 21)), [A]), (((18, 21),), [B]))
    assert evaluate_phrases(oracle, [sample], reader([])).metrics["R@1"] == 1
    (asked,) = oracle.asked
    assert (asked.spans, asked.owners) == (((0, 5), (11, 21), (18, 21)), (0, 0, 1))
    assert asked.phrases == ("a man with a hat", "hat")


def test_one_picture_is_read_once_for_all_its_texts() -> None:
    oracle = Oracle({"a": [(A, 0.9, 0)], "b": [(B, 0.9, 0)]})
    samples = [ReferringSample(FIRST, text, boxes(A), "") for text in ("a", "b", "a")]
    read: list[str] = []
    found = evaluate_expressions(oracle, samples, reader(read))
    assert found.metrics == {"P@1": pytest.approx(2 / 3), "P@5": pytest.approx(2 / 3), "P@10": pytest.approx(2 / 3)}
    assert (read, found.per_category) == (["first.png"], {})


def test_expressions_without_target_bring_the_numbers_for_empty_answers() -> None:
    samples = [
        ReferringSample(FIRST, "left", boxes(A), "x val"),
        ReferringSample(FIRST, "both", boxes(A, B), "x val"),
        ReferringSample(FIRST, "no cow", boxes(), "x val"),
        ReferringSample(FIRST, "no dog", boxes(), "x val"),
    ]
    answers = {
        "left": [(B, 0.9, 0), (A, 0.8, 0)],  # second place: P@1 0, P@5 1; two boxes from 0.7 on: not right
        "both": [(A, 0.75, 0), (B, 0.72, 0), (C, 0.6, 0)],  # right at 0.7, one too many at 0.6
        "no cow": [(A, 0.6, 0)],  # empty at 0.7
        "no dog": [(A, 0.95, 0)],
    }
    found = evaluate_expressions(Oracle(answers), samples, reader([]))
    assert found.metrics == {"P@1": 0, "P@5": 1, "P@10": 1, "P@F1": 0.5, "N-acc": 0.5, "T-acc": 1, "threshold": 0.7}
    assert found.per_category["threshold 0.5"]["N-acc"] == 0
    loose = evaluate_expressions(Oracle(answers), samples, reader([]), threshold=0.5)
    assert (loose.metrics["threshold"], loose.metrics["P@F1"]) == (0.5, 0)


def test_precisions_stand_apart_by_split_where_there_are_several() -> None:
    samples = [ReferringSample(FIRST, text, boxes(A), split) for text, split in (("a", "testA"), ("b", "testB"))]
    found = evaluate_expressions(Oracle({"a": [(A, 1, 0)], "b": [(B, 1, 0)]}), samples, reader([]))
    assert {split: row["P@1"] for split, row in found.per_category.items()} == {"testA": 1, "testB": 0}


def test_texts_and_pictures_that_cant_be_read_are_left_out_and_told() -> None:
    def picture_of(image: ImageFile) -> ImageRGB:
        if image == SECOND:
            raise ImageRefused("second.png is damaged.")
        return np.zeros((image.height, image.width, 3), np.uint8)

    oracle = Oracle({"a cat": [(A, 0.9, 0)], "the cat": [(A, 0.9, 0)]})
    captions = [
        phrases("a cat", (((2, 5),), [A])),
        phrases("a novel of a cat", (((13, 16),), [A])),
        phrases("a cat", (((2, 5),), [B]), image=SECOND),
    ]
    told: list[str] = []
    found = evaluate_phrases(oracle, captions, picture_of, on_skip=told.append)
    assert (found.metrics["R@1"], found.images) == (1, 1)
    assert told == ["'a novel of a cat' is too long.", "second.png is damaged."]
    expressions = [ReferringSample(image, "the cat", boxes(A), "") for image in (SECOND, FIRST)]
    answered = evaluate_expressions(oracle, expressions, picture_of, on_skip=told.append)
    assert (answered.metrics["P@1"], answered.images, len(told)) == (1, 1, 3)
    with pytest.raises(ImageRefused, match="damaged"):
        evaluate_expressions(oracle, expressions, picture_of)
