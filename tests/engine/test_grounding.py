import resource
import threading
from dataclasses import replace

import numpy as np
import pytest
import supervision as sv
import torch

from engine.detector import Caption, Detector
from engine.errors import EngineError, PromptError
from engine.grounding import GroundingDetector
from engine.ontology import Category, Ontology
from engine.preprocessing import Picture, Preprocessing
from engine.prompts import encode, fitting, pack
from engine.scores import phrase_scores, pixel_boxes
from tests.ties import assert_same_up_to_ties
from tests.tiny_checkpoint import Backbone, Family, tiny_model, tiny_tokenizer

ONTOLOGY = Ontology.from_prompt("cat. red car. dog.")
SIZES = [(100, 140), (140, 100), (100, 140), (60, 200), (96, 96), (300, 400), (100, 140)]


def picture(height: int, width: int, seed: int = 0) -> Picture:
    """Blocks of colour: noise would look the same everywhere."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    rows, columns = np.arange(height) * 6 // height, np.arange(width) * 6 // width
    return np.ascontiguousarray(small[rows][:, columns])


PICTURES = [picture(height, width, seed) for seed, (height, width) in enumerate(SIZES)]


def detector(family: Family, backbone: Backbone = "swin", **settings: object) -> GroundingDetector:
    return GroundingDetector(
        tiny_model(family, backbone),
        tiny_tokenizer(),
        Preprocessing(96, 160),
        **settings,  # type: ignore[arg-type]
    )


def assert_equal(one: sv.Detections, other: sv.Detections) -> None:
    """Scores, classes and boxes are the same bit for bit."""
    assert len(one) == len(other) > 0
    assert one.confidence is not None
    assert other.confidence is not None
    np.testing.assert_array_equal(one.confidence, other.confidence)
    np.testing.assert_array_equal(one.xyxy, other.xyxy)
    np.testing.assert_array_equal(one.class_id, other.class_id)


def test_it_is_a_detector(tiny_detector: GroundingDetector) -> None:
    door: Detector = tiny_detector
    assert (door.name, door.device) == ("tiny", "cpu")


def test_every_detection_has_one_category_a_probability_and_a_box_inside(tiny_detector: GroundingDetector) -> None:
    for image, found in zip(PICTURES, tiny_detector.detect(PICTURES, ONTOLOGY, threshold=0), strict=True):
        assert found.confidence is not None
        assert found.class_id is not None
        assert len(found) == 60  # 20 queries x 3 categories
        assert found.xyxy.dtype == np.float32
        assert (np.diff(found.confidence) <= 0).all()
        assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
        assert [ONTOLOGY.names[label] for label in found.class_id] == list(found.data["class_name"])
        assert set(found.data["phrase"]) == {"cat", "red car", "dog"}
        assert (found.xyxy[:, 2:] > found.xyxy[:, :2]).all()
        assert (found.xyxy >= 0).all()
        assert (found.xyxy <= np.array([image.shape[1], image.shape[0]] * 2)).all()


@pytest.mark.parametrize("family", ["mm-grounding-dino", "grounding-dino"])
def test_scores_and_boxes_are_those_of_the_plain_forward_pass(family: Family) -> None:
    ours = detector(family)
    found = ours.detect([PICTURES[0]], Ontology.from_prompt("red car"), threshold=0)[0]
    values, mask, _ = ours.preprocessing.resize_batch([PICTURES[0]])
    prompt = encode("red car.", [(0, 7)], ours.tokenizer)
    ids = torch.tensor([prompt.input_ids])
    with torch.no_grad():
        raw = ours.model(pixel_values=values, pixel_mask=mask, input_ids=ids, attention_mask=torch.ones_like(ids))
    scores = phrase_scores(raw.logits[0], [(1, 3)])[:, 0].numpy()
    boxes = pixel_boxes(raw.pred_boxes[0], 100, 140).numpy()
    expected = sv.Detections(boxes, confidence=scores, class_id=np.zeros(len(scores), int))
    assert_same_up_to_ties(found, expected, score=1e-5, box_px=1e-3)


@pytest.mark.parametrize("keep_mb", [0, 64])
def test_a_preprocessing_that_is_set_holds_from_then_on(keep_mb: int) -> None:
    ours = detector("mm-grounding-dino", keep_mb=keep_mb)
    smaller = replace(ours.preprocessing, shortest_edge=64, longest_edge=96)
    as_made = ours.detect([PICTURES[0]], ONTOLOGY, threshold=0)[0]
    wanted = GroundingDetector(ours.model, ours.tokenizer, smaller).detect([PICTURES[0]], ONTOLOGY, threshold=0)[0]
    ours.preprocessing = smaller
    found = ours.detect([PICTURES[0]], ONTOLOGY, threshold=0)[0]
    assert_equal(found, wanted)
    assert found.confidence is not None
    assert as_made.confidence is not None
    assert not np.array_equal(found.confidence, as_made.confidence)


@pytest.mark.parametrize("backbone", ["swin", "resnet"])
@pytest.mark.parametrize("family", ["mm-grounding-dino", "grounding-dino"])
def test_a_picture_alone_gives_bit_for_bit_what_it_gives_among_others(family: Family, backbone: Backbone) -> None:
    ours = detector(family, backbone)
    together = ours.detect(PICTURES, ONTOLOGY, threshold=0)
    for image, found in zip(PICTURES, together, strict=True):
        assert_equal(found, ours.detect([image], ONTOLOGY, threshold=0)[0])


@pytest.mark.parametrize("backbone", ["swin", "resnet"])
@pytest.mark.parametrize("family", ["mm-grounding-dino", "grounding-dino"])
def test_a_picture_in_a_batch_of_mixed_sizes_gives_what_it_gives_alone(family: Family, backbone: Backbone) -> None:
    batched = detector(family, backbone, batch_size=4)
    for image, found in zip(PICTURES, batched.detect(PICTURES, ONTOLOGY, threshold=0), strict=True):
        (alone,) = batched.detect([image], ONTOLOGY, threshold=0)
        assert_same_up_to_ties(found, alone, score=1e-4, box_px=1e-4 * max(image.shape))


def test_padding_would_leak_into_a_neighbour_hence_one_size_a_batch() -> None:
    """Why pictures are grouped: in one padded batch the same picture gives other logits."""
    ours = detector("mm-grounding-dino")
    ids = torch.tensor([encode("cat.", [(0, 3)], ours.tokenizer).input_ids])

    def logits(*images: Picture) -> torch.Tensor:
        values, mask, _ = ours.preprocessing.resize_batch(images)
        with torch.no_grad():
            outputs = ours.model(pixel_values=values, pixel_mask=mask, input_ids=ids.expand(len(images), -1))
        best: torch.Tensor = outputs.logits[0, :, 1].sort().values
        return best

    assert (logits(PICTURES[0]) - logits(PICTURES[0], PICTURES[1])).abs().max() > 1e-3


def test_a_score_does_not_depend_on_prompts_that_share_the_request(tiny_detector: GroundingDetector) -> None:
    """Two hundred categories take several prompts; each category keeps its own index."""
    names = [f"cat {number}" for number in range(200)]
    found = tiny_detector.detect([PICTURES[0]], Ontology.from_names(names), threshold=0, top_k=10_000)[0]
    assert found.class_id is not None
    assert sorted(set(found.class_id)) == list(range(200))
    assert list(found.data["class_name"]) == [names[label] for label in found.class_id]
    assert list(found.data["phrase"]) == [names[label] for label in found.class_id]
    best = tiny_detector.detect([PICTURES[0]], Ontology.from_names(names), threshold=0, top_k=7)[0]
    np.testing.assert_array_equal(best.confidence, found.confidence[:7] if found.confidence is not None else None)


def test_a_category_of_two_phrases_scores_the_better_one(tiny_detector: GroundingDetector) -> None:
    pet = Ontology((Category("pet", ("cat", "dog")),))
    both = tiny_detector.detect([PICTURES[0]], Ontology.from_prompt("cat. dog"), threshold=0)[0]
    found = tiny_detector.detect([PICTURES[0]], pet, threshold=0)[0]
    assert len(found) == 20
    assert set(found.data["class_name"]) == {"pet"}
    assert set(found.data["phrase"]) <= {"cat", "dog"}
    assert found.confidence is not None
    assert both.confidence is not None
    assert found.confidence[0] == both.confidence[0]


def test_thresholds_only_cut_the_list(tiny_detector: GroundingDetector) -> None:
    everything = tiny_detector.detect([PICTURES[0]], ONTOLOGY, threshold=0)[0]
    assert everything.confidence is not None
    middle = float(everything.confidence[10])
    assert len(tiny_detector.detect([PICTURES[0]], ONTOLOGY, threshold=middle)[0]) == 11
    nothing = tiny_detector.detect([PICTURES[0]], ONTOLOGY, threshold=1)[0]
    assert len(nothing) == 0
    assert list(nothing.data["class_name"]) == list(nothing.data["phrase"]) == []


def test_no_pictures_give_no_results(tiny_detector: GroundingDetector) -> None:
    assert tiny_detector.detect([], ONTOLOGY) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2)])
def test_a_picture_of_a_pixel_a_side_is_no_trouble(tiny_detector: GroundingDetector, size: tuple[int, int]) -> None:
    assert len(tiny_detector.detect([picture(*size)], ONTOLOGY, threshold=0)) == 1


@pytest.mark.parametrize("name", ["a/b", "${x}", "<script>", "yes", "🐈", "ok\nthen", "naïve"])
def test_unusual_categories_come_back_as_they_were_given(tiny_detector: GroundingDetector, name: str) -> None:
    found = tiny_detector.detect([PICTURES[0]], Ontology.from_names(["cat", name]), threshold=0)[0]
    assert set(found.data["class_name"]) == {"cat", name}


def test_each_phrase_of_a_caption_gets_its_boxes(tiny_detector: GroundingDetector) -> None:
    caption = Caption("A red car on the left, a dog", ((2, 9), (25, 28)))
    found = tiny_detector.ground([PICTURES[0]], [caption], threshold=0)[0]
    assert found.class_id is not None
    assert {(label, phrase) for label, phrase in zip(found.class_id, found.data["phrase"], strict=True)} == {
        (0, "red car"),
        (1, "dog"),
    }


def test_captions_of_one_batch_do_not_mix(tiny_detector: GroundingDetector) -> None:
    images = [PICTURES[0], PICTURES[1]]
    captions = ["a red car and a dog", "the cat. a ball"]
    together = tiny_detector.ground(images, captions, threshold=0)
    for image, caption, found in zip(images, captions, together, strict=True):
        assert_equal(found, tiny_detector.ground([image], [caption], threshold=0)[0])
    assert set(together[1].data["phrase"]) == {"cat", "ball"}


def test_a_caption_that_is_too_long_is_refused(tiny_detector: GroundingDetector) -> None:
    with pytest.raises(PromptError, match=r"takes 303 tokens; the detector reads 256"):
        tiny_detector.ground([PICTURES[0]], ["cat " * 300])


def test_an_expression_gets_its_best_box_or_none(tiny_detector: GroundingDetector) -> None:
    images = [PICTURES[0], PICTURES[1]]
    found = tiny_detector.refer(images, ["the red car on the left", "Dog?"], threshold=0)
    assert [len(one) for one in found] == [1, 1]
    assert [list(one.data["class_name"]) for one in found] == [["the red car on the left"], ["Dog?"]]
    assert [len(one) for one in tiny_detector.refer(images, ["cat", "dog"], threshold=1)] == [0, 0]


def test_an_expression_scores_its_best_word_and_not_the_full_stop(tiny_detector: GroundingDetector) -> None:
    found = tiny_detector.refer([PICTURES[0]], ["red car"], threshold=0)[0]
    values, mask, _ = tiny_detector.preprocessing.resize_batch([PICTURES[0]])
    ids = torch.tensor([encode("red car.", [], tiny_detector.tokenizer).input_ids])
    with torch.no_grad():
        raw = tiny_detector.model(pixel_values=values, pixel_mask=mask, input_ids=ids)
    assert found.confidence is not None
    assert found.confidence[0] == pytest.approx(raw.logits[0, :, 1:3].sigmoid().max().item(), rel=1e-5)


def test_a_phrase_in_pieces_scores_the_mean_of_all_its_tokens(tiny_detector: GroundingDetector) -> None:
    apart = Caption("red car on the left", ((0, 7), (11, 19)), owners=(0, 0))
    assert apart.phrases == ("red car the left",)
    found = tiny_detector.ground([PICTURES[0]], [apart], threshold=0)[0]
    both = tiny_detector.ground([PICTURES[0]], [Caption(apart.text, ((0, 7), (11, 19)))], threshold=0)[0]
    assert set(found.class_id) == {0}  # type: ignore[arg-type]
    assert found.confidence is not None and both.confidence is not None
    for box, score in zip(found.xyxy[:5], found.confidence[:5], strict=True):
        pieces = both.confidence[(both.xyxy == box).all(1)]
        assert score == pytest.approx(pieces.mean(), rel=1e-5)  # "red car" and "the left" are two tokens each


@pytest.mark.parametrize("owners", [(0,), (0, 2), (1, 1)])
def test_owners_that_do_not_fit_the_spans_are_refused(owners: tuple[int, ...]) -> None:
    with pytest.raises(PromptError, match="came with owners"):
        Caption("red car on the left", ((0, 7), (11, 19)), owners)


def test_an_expression_may_have_several_boxes_best_first(tiny_detector: GroundingDetector) -> None:
    (several,) = tiny_detector.refer(PICTURES[:1], ["red car"], threshold=0, top_k=10)
    (one,) = tiny_detector.refer(PICTURES[:1], ["red car"], threshold=0)
    assert several.confidence is not None and one.confidence is not None
    assert len(several) == 10
    assert several.confidence.tolist() == sorted(several.confidence, reverse=True)
    assert one.confidence[0] == several.confidence[0]


def test_every_box_of_every_phrase_can_be_asked_for(tiny_detector: GroundingDetector) -> None:
    caption = Caption("A red car on the left, a dog", ((2, 9), (25, 28)))
    (found,) = tiny_detector.ground(PICTURES[:1], [caption], threshold=0, top_k=10_000)
    assert np.bincount(found.class_id).tolist() == [20, 20]  # type: ignore[arg-type]  # 20 queries
    assert len(tiny_detector.ground(PICTURES[:1], [caption], threshold=0, top_k=3)[0]) == 3


def test_one_text_a_picture_is_needed(tiny_detector: GroundingDetector) -> None:
    with pytest.raises(EngineError, match="2 pictures came with 1 texts"):
        tiny_detector.refer(PICTURES[:2], ["cat"])
    with pytest.raises(EngineError, match="1 pictures came with 0 texts"):
        tiny_detector.ground(PICTURES[:1], [])


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4), (0, 10, 3)])
def test_what_is_no_picture_is_refused(tiny_detector: GroundingDetector, shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match=r"read_image"):
        tiny_detector.detect([np.zeros(shape, np.uint8)], ONTOLOGY)


def test_a_threshold_that_is_no_probability_is_refused(tiny_detector: GroundingDetector) -> None:
    with pytest.raises(EngineError, match="Threshold 30 is not between 0 and 1"):
        tiny_detector.detect(PICTURES[:1], ONTOLOGY, threshold=30)


def test_lower_precision_keeps_the_boxes_in_float32() -> None:
    """The heads run in float32 on what bfloat16 layers computed: scores are close, boxes not in steps of 1/256."""
    found = detector("mm-grounding-dino", precision=torch.bfloat16).detect([PICTURES[0]], ONTOLOGY, threshold=0)[0]
    exact = detector("mm-grounding-dino").detect([PICTURES[0]], ONTOLOGY, threshold=0)[0]
    assert found.confidence is not None
    assert exact.confidence is not None
    np.testing.assert_allclose(found.confidence[:5], exact.confidence[:5], atol=0.05)
    normalised = found.xyxy / np.array([140, 100, 140, 100], np.float32)
    assert (normalised.astype(np.float32) != torch.from_numpy(normalised).bfloat16().float().numpy()).mean() > 0.5


def test_threads_take_turns(tiny_detector: GroundingDetector) -> None:
    expected = tiny_detector.detect(PICTURES, ONTOLOGY, threshold=0)
    results: dict[int, list[sv.Detections]] = {}

    def work(index: int) -> None:
        results[index] = tiny_detector.detect(PICTURES, ONTOLOGY, threshold=0)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in results.values():
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    assert len(results) == 3


def many() -> Ontology:
    """So many categories that they need several prompts."""
    return Ontology.from_names(
        [f"{color} {thing} {number}" for color in ("red", "blue") for thing in ("cat", "car") for number in range(40)]
    )


def test_a_second_pass_asks_for_what_was_found_in_one_prompt_and_takes_the_mean_of_both() -> None:
    ours, ontology = detector("mm-grounding-dino"), many()
    (first,) = ours.detect(PICTURES[:1], ontology, threshold=0.05, top_k=100)
    (second,) = ours.detect(PICTURES[:1], ontology, threshold=0.05, top_k=100, second_pass=True)
    assert first.class_id is not None
    likeliest = fitting(ontology, dict.fromkeys(first.class_id.tolist()), ours.tokenizer).categories
    assert 1 < len(likeliest) < len(set(first.class_id))
    alone = Ontology(tuple(ontology.categories[index] for index in likeliest))
    (again,) = ours.detect(PICTURES[:1], alone, threshold=0.05, top_k=100)
    assert again.confidence is not None
    assert first.confidence is not None
    expected = []
    for box, score, name in zip(first.xyxy, first.confidence, first.data["class_name"], strict=True):
        near = (sv.box_iou_batch(box[None], again.xyxy)[0] >= 0.6) & (again.data["class_name"] == name)
        if near.any():
            expected.append((float(np.sqrt(score * again.confidence[near].max())), name))
    assert second.confidence is not None
    found = list(zip(second.confidence.tolist(), second.data["class_name"], strict=True))
    assert len(found) > 1
    assert found == [(pytest.approx(score), name) for score, name in sorted(expected, key=lambda row: -row[0])]
    assert second.class_id is not None
    assert [ontology.names[index] for index in second.class_id] == list(second.data["class_name"])


def test_a_threshold_only_cuts_what_a_second_pass_says(tiny_detector: GroundingDetector) -> None:
    (low,) = tiny_detector.detect(PICTURES[:1], many(), threshold=0.05, second_pass=True)
    assert low.confidence is not None
    assert len(low) > 2
    middle = float(low.confidence[len(low) // 2])
    (high,) = tiny_detector.detect(PICTURES[:1], many(), threshold=middle, second_pass=True)
    np.testing.assert_array_equal(high.confidence, low.confidence[low.confidence >= middle])


def test_a_second_pass_over_nothing_finds_nothing(tiny_detector: GroundingDetector) -> None:
    (found,) = tiny_detector.detect(PICTURES[:1], many(), threshold=1.0, second_pass=True)
    assert len(found) == 0


def test_one_prompt_needs_no_second_pass(tiny_detector: GroundingDetector) -> None:
    once, twice = (tiny_detector.detect(PICTURES[:1], ONTOLOGY, threshold=0, second_pass=it)[0] for it in (False, True))
    assert_equal(once, twice)


def test_ten_thousand_categories_take_full_prompts_and_little_memory() -> None:
    ours = detector("mm-grounding-dino", keep_mb=64)
    ontology = Ontology.from_names(f"cat {number}" for number in range(10_000))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (found,) = ours.detect([PICTURES[0]], ontology, threshold=0, top_k=500)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert found.class_id is not None
    assert len(found) == 500
    assert list(found.data["class_name"]) == [f"cat {label}" for label in found.class_id]
    assert grown_kb < 400_000
    lengths = [len(packed.prompt.input_ids) for packed in pack(ontology, ours.tokenizer)]
    assert min(lengths[:-1]) > 240  # of 256


def test_a_category_of_three_hundred_tokens_is_refused_by_its_name() -> None:
    long = Ontology.from_names(["dog", "cat " * 300])
    with pytest.raises(
        PromptError, match=r"category 'cat cat .*…' takes 300 tokens; the detector reads 253"
    ) as refused:
        detector("mm-grounding-dino").detect([PICTURES[0]], long)
    assert "\n" not in str(refused.value)
