"""The definitions of `bench starter`, on detectors that are made by hand."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
import supervision as sv

import launch
from common.images import ImageRGB
from engine.checkpoints import STARTER
from engine.detector import Caption, Detector
from engine.ontology import Ontology
from tests.training.worlds.font import needs_font
from training.benchmarks import questions
from training.benchmarks.questions import Question
from training.benchmarks.starter import Answer, StarterBenchmark, federated, measure, run
from training.metrics.coco import Labels, Predictions
from training.worlds.concepts import SHAPE_COLOURS
from training.worlds.relations import TextRules, relation_scene, scene_texts, things_of

PROMISED = [
    "AP50",
    "AP",
    "unseen_AP50",
    "refer_P1",
    "mask_iou",
    "false_boxes_absent",
    "seconds_per_image",
    "parameters",
    "bytes",
]
OF_RIGHT_NAMES = (
    *("AP50", "AP", "unseen_AP50", "unseen_synonym_AP50", "large_found"),
    *("refer_P1", "ground_R1", "name_accuracy"),
)
BENCHMARK = StarterBenchmark(images=12)


class Knowing:
    """Finds in the pictures of `BENCHMARK` exactly what is there, by the name that `called` makes of the right one."""

    name, device = "knowing", "cpu"

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift  # of each class: 1 names everything wrongly
        seed, images = BENCHMARK.seed, BENCHMARK.images
        asked: list[Question] = [
            *questions.by_name(seed, images),
            *questions.by_unseen_synonym(seed, images),
            *questions.by_composition(seed, images),
            *questions.by_name_of_large_things(seed, images),
            *questions.by_every_name(seed, images),
        ]
        self.questions = {question.image.tobytes(): question for question in asked}
        self.expressions = {
            (image.tobytes(), one.text): one.box_xyxy
            for image, some in questions.referring(seed, images, 4)
            for one in some
        }
        self.captions = {
            (image.tobytes(), caption.text): caption.phrases for image, caption in questions.captioned(seed, images)
        }

    def detect(self, images: Sequence[ImageRGB], ontology: Ontology, **_: Any) -> list[sv.Detections]:
        return [self._found(image, ontology.names) for image in images]

    def _found(self, image: ImageRGB, names: Sequence[str]) -> sv.Detections:
        question = self.questions.get(image.tobytes())
        if question is None or question.names != tuple(names):
            return sv.Detections(np.zeros((0, 4), np.float32), confidence=np.zeros(0), class_id=np.zeros(0, int))
        classes = (question.labels.classes + self.shift) % len(names)
        return sv.Detections(question.labels.boxes_xyxy, confidence=np.full(len(classes), 0.9), class_id=classes)

    def ground(self, images: Sequence[ImageRGB], captions: Sequence[Caption], **_: Any) -> list[sv.Detections]:
        found = []
        for image, caption in zip(images, captions, strict=True):
            phrases = self.captions[image.tobytes(), caption.text]
            boxes = np.concatenate([phrase.boxes_xyxy[:1] for phrase in phrases])
            classes = (np.arange(len(phrases)) + self.shift) % len(phrases)
            found.append(sv.Detections(boxes, confidence=np.full(len(boxes), 0.9), class_id=classes))
        return found

    def refer(self, images: Sequence[ImageRGB], expressions: Sequence[str], **_: Any) -> list[sv.Detections]:
        boxes = [self.expressions[image.tobytes(), text] for image, text in zip(images, expressions, strict=True)]
        return [
            sv.Detections(box + 500 * self.shift, confidence=np.ones(1), class_id=np.zeros(1, int)) for box in boxes
        ]


def silent(done: float, total: float) -> None:
    assert done <= total


@needs_font
def test_a_detector_that_knows_everything_scores_one_everywhere() -> None:
    document = measure(cast(Detector, Knowing()), BENCHMARK, silent)
    ones = (*OF_RIGHT_NAMES, "AP50_pooled", "large_AP50_pooled", "kin_AP50")
    assert {name: document[name] for name in ones} == pytest.approx(dict.fromkeys(ones, 1.0), abs=1e-3)
    assert document["AP50_every_name_pooled"] == pytest.approx(1.0, abs=1e-3)
    assert document["name_accuracy"] == 1
    assert document["false_boxes_absent"] == 0
    assert set(document["f1"].values()) == {1.0}


@needs_font
def test_a_detector_that_names_everything_wrongly_scores_next_to_nothing() -> None:
    document = measure(cast(Detector, Knowing(shift=1)), BENCHMARK, silent)
    for name in OF_RIGHT_NAMES:
        assert document[name] < 0.1, name
    assert document["false_boxes_absent"] == 0  # where all names are absent it says nothing


@needs_font
def test_boxes_for_absent_names_are_counted_from_the_threshold_on() -> None:
    class Eager(Knowing):
        """Answers every question with two boxes of the first name."""

        def _found(self, image: ImageRGB, names: Sequence[str]) -> sv.Detections:
            boxes = np.array([[0, 0, 9, 9], [5, 5, 20, 20]], np.float32)
            return sv.Detections(boxes, confidence=np.array([0.42, 0.31]), class_id=np.zeros(2, int))

    document = measure(cast(Detector, Eager()), BENCHMARK, silent)
    assert document["threshold"] == 0.4
    assert document["false_boxes_absent"] == 1
    assert document["false_boxes"] == {"0.2": 2, "0.3": 2, "0.4": 1, "0.5": 0, "0.6": 0, "0.7": 0, "0.8": 0}


@needs_font
def test_second_boxes_around_a_thing_count_in_the_protocols_numbers_but_are_not_shown() -> None:
    class Stammering(Knowing):
        """Finds every thing twice, surest of what it finds on large pictures."""

        def _found(self, image: ImageRGB, names: Sequence[str]) -> sv.Detections:
            found = super()._found(image, names)
            again = sv.Detections(found.xyxy + 0.2, confidence=found.confidence, class_id=found.class_id)
            twice = sv.Detections.merge([found, again])
            twice.confidence = np.full(len(twice), min(image.size / 1_000_000, 1.0))
            return twice

    document = measure(cast(Detector, Stammering()), BENCHMARK, silent)
    assert document["AP50_as_shown"] == pytest.approx(1.0, abs=1e-3)
    assert document["AP50_pooled"] < 0.95


def _answer(names: tuple[str, ...], there: list[int], found: list[tuple[int, float]]) -> Answer:
    """Things and boxes of one place each: class k stands at x = 100 k."""
    boxes = [np.array([[100 * k, 0, 100 * k + 50, 50] for k in some], np.float32).reshape(-1, 4) for some in (there,)]
    said = np.array([[100 * k, 0, 100 * k + 50, 50] for k, _ in found], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in found], np.float32)
    classes = np.array([k for k, _ in found], np.int64)
    return Answer(names, Labels(boxes[0], np.array(there, np.int64)), Predictions(said, classes, scores))


def test_a_scene_counts_for_the_names_of_its_prompt_only() -> None:
    shown = _answer(("cat", "dog"), [0], [(0, 0.5)])
    elsewhere = _answer(("cup", "key"), [1], [(1, 0.4), (0, 0.9)])  # a box for an absent cup
    assert federated([shown, elsewhere]).metrics["AP50"] == pytest.approx(1.0)  # of cat and key; nothing shows a cup
    in_vain = _answer(("cat", "key"), [], [(0, 0.9)])  # a better box for a cat where none is: precision 1/2
    found = federated([shown, elsewhere, in_vain])
    assert found.per_category["cat"]["AP50"] == pytest.approx(0.5)
    assert found.metrics["AP50"] == pytest.approx(0.75)


@needs_font
def test_a_scene_is_decided_by_seed_and_number_alone() -> None:
    for make in (questions.by_name, questions.by_composition, questions.by_unseen_synonym, questions.in_vain):
        few, more, other = (list(make(*asked)) for asked in ((3, 2), (3, 3), (4, 2)))
        assert [question.names for question in few] == [question.names for question in more[:2]]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(few, more, strict=False))
        assert not np.array_equal(few[0].image, other[0].image)


@needs_font
def test_prompts_have_sixteen_different_names_and_those_in_vain_fit_nothing() -> None:
    made = [questions.by_name, questions.by_unseen_synonym, questions.by_composition, questions.in_vain]
    for make in made:
        for question in make(5, 6):
            assert len(set(question.names)) == questions.NAMES
            assert (question.labels.classes < questions.NAMES).all()
    assert all(len(question.labels.classes) == 0 for question in questions.in_vain(5, 6))


@needs_font
def test_large_things_are_one_or_two_and_fill_much_of_the_picture() -> None:
    for question in questions.by_name_of_large_things(2, 12):
        sides = question.labels.boxes_xyxy[:, 2:] - question.labels.boxes_xyxy[:, :2]
        assert 1 <= len(sides) <= 2
        assert (sides.prod(1) ** 0.5 > 0.3 * min(question.image.shape[:2])).all()  # less than 0.4 where it is cut off


@needs_font
def test_prompts_about_a_held_out_composition_share_its_words() -> None:
    for question in questions.by_composition(1, 8):
        held_out = [name for name in question.names if questions.is_held_out(name)]
        assert any(
            sum(bool(set(name.split()) & set(other.split())) for other in question.names) == questions.NAMES
            for name in held_out
        )


@needs_font
def test_unseen_synonyms_are_said_in_no_sentence_of_training() -> None:
    """Sentences speak of colours: "rice" is not said, though "rice ball" is, but "red tomato" would be."""
    names = {name for question in questions.by_unseen_synonym(0, 40) for name in question.names}
    coloured = {name for name in names if name.split()[0] in SHAPE_COLOURS}
    said = set[str]()
    for seed in range(150):
        rng = np.random.default_rng(seed)
        told = scene_texts(rng, things_of(relation_scene(rng, (64, 64))), TextRules(captions=2, expressions=40))
        said |= {f" {text.text} " for text in told}
    assert coloured
    assert not [name for name in coloured if any(f" {name} " in text for text in said)]


@needs_font
def test_concepts_are_shown_evenly() -> None:
    shown = [
        question.names[place] for question in questions.by_name(0, 120) for place in question.labels.classes.tolist()
    ]
    assert len(set(shown)) > 250  # of some 500 boxes


@needs_font
@pytest.mark.slow
def test_the_document_of_the_shipped_starter_has_every_number_that_is_promised() -> None:
    document = run(StarterBenchmark(images=1, segmenter="grabcut"), silent)
    assert list(document)[: len(PROMISED)] == PROMISED
    assert document["bytes"] == (STARTER / "model.safetensors").stat().st_size
    assert document["parameters"] > 1_000_000
    assert document["seconds_per_image"] > 0
    assert 0 < document["mask_iou"] < 1


@pytest.mark.parametrize("part", ["--detector", "--segmenter"])
def test_a_folder_that_is_not_there_is_told_in_one_line(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert launch.main(["bench", "starter", part, "nowhere/at/all"]) == launch.FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert "nowhere/at/all" in line
