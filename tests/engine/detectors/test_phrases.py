import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch

from engine.checkpoints import load_detector
from engine.detector import Caption, Detector
from engine.detectors.phrases import Answer, PhraseDetector
from engine.errors import EngineError, PromptError
from engine.ontology import Category, Ontology
from engine.preprocessing import Picture
from tests.ties import assert_same_up_to_ties
from tests.tiny_phrase_detectors import KINDS, OMDET_TOKENS, OWLV2_TOKENS, SAM3_TOKENS, Kind

RNG = np.random.default_rng(3)
PICTURES = [RNG.integers(0, 256, shape, dtype=np.uint8) for shape in ((70, 100, 3), (120, 40, 3), (64, 64, 3))]
ONTOLOGY = Ontology.from_prompt("cat. red car. dog.")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def detector(folders: dict[Kind, Path], kind: Kind) -> Detector:
    return load_detector(folders[kind], device="cpu")


def assert_equal(one: sv.Detections, other: sv.Detections) -> None:
    np.testing.assert_array_equal(one.xyxy, other.xyxy)
    np.testing.assert_array_equal(one.confidence, other.confidence)
    np.testing.assert_array_equal(one.class_id, other.class_id)
    assert list(one.data["phrase"]) == list(other.data["phrase"])


def first(found: sv.Detections, count: int) -> sv.Detections:
    part = found[:count]
    assert isinstance(part, sv.Detections)
    return part


def test_every_detection_has_one_category_a_probability_and_a_box_inside(detector: Detector, kind: Kind) -> None:
    for image, found in zip(PICTURES, detector.detect(PICTURES, ONTOLOGY, threshold=0), strict=True):
        assert len(found) > 0 and found.confidence is not None and found.class_id is not None
        height, width = image.shape[:2]
        assert found.xyxy.dtype == np.float32
        assert (found.xyxy >= 0).all() and (found.xyxy <= [width, height, width, height]).all()
        assert (found.xyxy[:, 2:] > found.xyxy[:, :2]).all()
        assert (np.diff(found.confidence) <= 0).all() and found.confidence[0] <= 1 and found.confidence[-1] >= 0
        assert list(found.data["class_name"]) == [ONTOLOGY.names[label] for label in found.class_id]
        assert (found.mask is not None) == (kind == "sam3")
        if found.mask is not None:
            assert found.mask.shape == (len(found), height, width) and found.mask.dtype == np.bool_


def test_a_picture_is_answered_as_if_it_were_alone(detector: Detector) -> None:
    together = detector.detect(PICTURES, ONTOLOGY, threshold=0)
    for image, found in zip(PICTURES, together, strict=True):
        assert_equal(found, detector.detect([image], ONTOLOGY, threshold=0)[0])


def test_thresholds_and_top_k_only_cut_the_list(detector: Detector) -> None:
    (everything,) = detector.detect(PICTURES[:1], ONTOLOGY, threshold=0, top_k=10)
    assert everything.confidence is not None
    limit = float(everything.confidence[3])
    (likely,) = detector.detect(PICTURES[:1], ONTOLOGY, threshold=limit, top_k=10)
    assert_equal(likely, first(everything, len(likely)))
    (few,) = detector.detect(PICTURES[:1], ONTOLOGY, threshold=0, top_k=2)
    assert_equal(few, first(everything, 2))
    (none,) = detector.detect(PICTURES[:1], ONTOLOGY, threshold=1)
    assert len(none) == 0 and none.class_id is not None and len(none.data["phrase"]) == 0


def test_a_category_of_two_phrases_scores_the_better_one(detector: Detector, kind: Kind) -> None:
    pet = Ontology((Category("pet", ("cat", "dog")),))
    apart = Ontology.from_prompt("cat. dog.")
    (found,) = detector.detect(PICTURES[:1], pet, threshold=0)
    (both,) = detector.detect(PICTURES[:1], apart, threshold=0)
    assert found.confidence is not None and both.confidence is not None
    assert set(found.data["class_name"]) == {"pet"} and found.class_id is not None and not found.class_id.any()
    assert found.confidence[0] == both.confidence[0]
    assert found.data["phrase"][0] == both.data["phrase"][0]
    assert kind == "omdet-turbo" or set(found.data["phrase"]) == {"cat", "dog"}
    assert len(found) < len(both)  # what both phrases say of one box is said once
    if kind == "owlv2":
        assert len({tuple(box) for box in found.xyxy}) == len(found)


def test_each_phrase_of_a_caption_gets_its_boxes(detector: Detector) -> None:
    caption = Caption("a cat and a dog", ((2, 5), (12, 15)))
    (found,) = detector.ground(PICTURES[:1], [caption], threshold=0)
    (asked,) = detector.detect(PICTURES[:1], Ontology.from_prompt("cat. dog."), threshold=0)
    assert_equal(found, asked)


def test_captions_of_one_batch_do_not_mix(detector: Detector) -> None:
    texts = ["a cat", "a dog and a red car", "a cat"]
    for image, text, found in zip(PICTURES, texts, detector.ground(PICTURES, texts, threshold=0), strict=True):
        assert_equal(found, detector.ground([image], [text], threshold=0)[0])


def test_two_phrases_of_a_caption_may_be_the_same_word(detector: Detector) -> None:
    (found,) = detector.ground(PICTURES[:1], [Caption("cat cat", ((0, 3), (4, 7)))], threshold=0)
    assert set(found.class_id if found.class_id is not None else ()) == {0, 1}


def test_an_expression_gets_its_best_box_or_none(detector: Detector) -> None:
    (best,) = detector.refer(PICTURES[:1], ["the red car"], threshold=0)
    (several,) = detector.refer(PICTURES[:1], ["the red car"], threshold=0, top_k=3)
    assert (len(best), len(several)) == (1, 3)
    np.testing.assert_array_equal(best.xyxy[0], several.xyxy[0])
    assert best.data["class_name"][0] == "the red car"
    assert len(detector.refer(PICTURES[:1], ["the red car"], threshold=1)[0]) == 0


def test_a_phrase_longer_than_the_text_encoder_is_refused_by_name(detector: Detector, kind: Kind) -> None:
    limit = {"owlv2": OWLV2_TOKENS, "omdet-turbo": OMDET_TOKENS, "sam3": SAM3_TOKENS}[kind]
    long = "x" * (limit - 1)  # a token a letter, and two around them
    with pytest.raises(PromptError, match=rf"'{long}' of category 'long one' takes \d+ tokens; .*reads {limit}\. Sh"):
        detector.detect(PICTURES[:1], Ontology((Category("cat"), Category("long one", ("dog", long)))))
    with pytest.raises(PromptError, match=f"reads {limit}"):
        detector.refer(PICTURES[:2], ["cat", long])
    with pytest.raises(PromptError, match=f"reads {limit}"):
        detector.ground(PICTURES[:1], [Caption(long, ((0, len(long)),))])


@pytest.mark.parametrize("kind", ["owlv2", "sam3"])
def test_the_longest_phrase_that_is_read_is_read_to_its_end(detector: Detector, kind: Kind) -> None:
    longest = {"owlv2": OWLV2_TOKENS, "sam3": SAM3_TOKENS}[kind] - 2
    one, other = ("x" * (longest - 1) + last for last in "yz")
    first, second = (detector.refer(PICTURES[:1], [text], threshold=0)[0] for text in (one, other))
    assert first.confidence is not None and second.confidence is not None
    assert first.confidence[0] != second.confidence[0]


def test_a_long_list_of_omdet_turbo_is_asked_in_several_tasks(folders: dict[Kind, Path]) -> None:
    detector = load_detector(folders["omdet-turbo"], device="cpu")
    names = [f"thing {letter}" for letter in "abcdefgh"]  # 7 tokens each with its comma, 8 around them: 4 fit into 40
    (found,) = detector.detect(PICTURES[:1], Ontology.from_names(names), threshold=0, top_k=1000)
    halves = [
        detector.detect(PICTURES[:1], Ontology.from_names(part), threshold=0)[0] for part in (names[:4], names[4:])
    ]
    assert found.confidence is not None
    best = max(float(half.confidence[0]) for half in halves if half.confidence is not None)
    assert set(found.data["class_name"]) <= set(names) and float(found.confidence[0]) == best


def test_a_thousand_categories_of_owlv2_are_answered_as_each_alone(folders: dict[Kind, Path]) -> None:
    detector = load_detector(folders["owlv2"], device="cpu")
    names = [f"n{number}" for number in range(1000)]
    (found,) = detector.detect(PICTURES[:1], Ontology.from_names(names), threshold=0, top_k=20_000)
    for name in ("n0", "n255", "n256", "n999"):
        (alone,) = detector.detect(PICTURES[:1], Ontology.from_names([name]), threshold=0)
        own = found[found.data["class_name"] == name]
        assert isinstance(own, sv.Detections)
        own.class_id = np.zeros(len(own), int)  # as where it is asked alone
        assert_same_up_to_ties(own, alone, score=1e-5, box_px=1e-3)


def test_what_is_kept_of_a_picture_changes_no_answer(folders: dict[Kind, Path], kind: Kind) -> None:
    plain, keeping = (load_detector(folders[kind], device="cpu", keep_mb=keep) for keep in (0, 64))
    for ontology in (ONTOLOGY, Ontology.from_prompt("dog."), ONTOLOGY):
        one, other = (each.detect(PICTURES[:1], ontology, threshold=0)[0] for each in (plain, keeping))
        assert_equal(one, other)


def test_a_picture_of_a_pixel_a_side_is_no_trouble(detector: Detector) -> None:
    for shape in ((1, 1, 3), (3, 50, 3), (50, 3, 3)):
        (found,) = detector.detect([np.zeros(shape, np.uint8)], ONTOLOGY, threshold=0)
        assert found.xyxy.shape == (len(found), 4)


def test_no_pictures_give_no_results(detector: Detector) -> None:
    assert detector.detect([], ONTOLOGY) == []


def test_one_text_a_picture_is_needed(detector: Detector) -> None:
    with pytest.raises(EngineError, match="2 pictures came with 1 texts"):
        detector.refer(PICTURES[:2], ["cat"])


def test_threads_take_turns(detector: Detector) -> None:
    expected = detector.detect(PICTURES[:1], ONTOLOGY, threshold=0)[0]
    answers: list[sv.Detections] = []
    ask = lambda: answers.extend(detector.detect(PICTURES[:1], ONTOLOGY, threshold=0))  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for answer in answers:
        assert_equal(answer, expected)


Told = dict[str, list[tuple[float, float]]]


class Scripted:
    """A network that says what it is told of each phrase, and counts how often it looks."""

    device = torch.device("cpu")
    max_tokens = 10
    pictures_together = 1

    def __init__(self, told: Told, together: int = 1, nms_iou: float | None = None):
        self.told = told  # of each phrase the left edge and score of boxes of half the picture's width
        self.together, self.nms_iou = together, nms_iou
        self.looked = 0

    def tokens(self, phrase: str) -> int:
        return len(phrase.split())

    def fits(self, phrases: Sequence[str]) -> bool:
        return len(phrases) <= self.together

    def see(self, images: Sequence[Picture]) -> Any:
        self.looked += 1
        return [torch.zeros(len(images), 1000)]

    def answer(self, seen: Any, phrases: Sequence[str]) -> Answer:
        rows = [(left, phrase, score) for phrase in phrases for left, score in self.told[phrase]]
        boxes = torch.tensor([[left + 0.25, 0.5, 0.5, 1] for left, _, _ in rows])
        scores = torch.tensor([[score if own == phrase else 0 for phrase in phrases] for _, own, score in rows])
        return Answer(boxes[None], scores[None])


def found_by(network: Scripted, ontology: Ontology, **settings: Any) -> Iterator[tuple[float, str, float]]:
    (found,) = PhraseDetector(network).detect([np.zeros((10, 100, 3), np.uint8)], ontology, **settings)
    assert found.confidence is not None
    for box, phrase, score in zip(found.xyxy, found.data["phrase"], found.confidence, strict=True):
        yield round(float(box[0]), 2), str(phrase), round(float(score), 2)


PET = Ontology((Category("pet", ("cat", "dog")),))


def test_what_two_phrases_of_a_category_find_apart_is_one_find() -> None:
    told: Told = {"cat": [(0, 0.6), (0.5, 0.7)], "dog": [(0.05, 0.9)]}  # IoU of 0 and 0.05: 0.45 / 0.55 = 0.82
    assert list(found_by(Scripted(told), PET)) == [(5, "dog", 0.9), (50, "cat", 0.7)]


def test_doubles_of_a_category_of_one_phrase_are_kept_where_its_authors_keep_them() -> None:
    told: Told = {"cat": [(0, 0.6), (0.05, 0.7)], "dog": [(0, 0.9)]}
    every = [(0, "dog", 0.9), (5, "cat", 0.7), (0, "cat", 0.6)]
    ontology = Ontology.from_prompt("cat. dog.")
    assert list(found_by(Scripted(told), ontology)) == every
    assert list(found_by(Scripted(told, nms_iou=0.5), ontology)) == every[:2]  # another category is no double


def test_a_categorys_phrases_are_asked_together_where_they_fit() -> None:
    asked: list[list[str]] = []

    class Listening(Scripted):
        def answer(self, seen: Any, phrases: Sequence[str]) -> Answer:
            asked.append(list(phrases))
            return super().answer(seen, phrases)

    ontology = Ontology((Category("a"), Category("b", ("b1", "b2")), Category("c", ("c1", "c2", "c3", "c4"))))
    told = {phrase: [(0.0, 0.5)] for category in ontology.categories for phrase in category.phrases}
    list(found_by(Listening(told, together=2), ontology))
    assert asked == [["a"], ["b1", "b2"], ["c1", "c2"], ["c3", "c4"]]


def test_another_prompt_on_a_picture_that_is_kept_does_not_look_again() -> None:
    pictures = [np.full((10, 10, 3), shade, np.uint8) for shade in (0, 1)]
    for keep_mb, looks in ((0, 4), (1, 2)):
        network = Scripted({"cat": [(0, 0.5)], "dog": [(0, 0.5)]})
        detector = PhraseDetector(network, keep_mb=keep_mb)
        for prompt in ("cat.", "dog."):
            detector.detect(pictures, Ontology.from_prompt(prompt))
        assert network.looked == looks
