"""`bench vocabulary` on the starter: the names it asks for, and what it tells."""

import launch
from engine.checkpoints import STARTER, load_grounding_detector
from tests.training.worlds.font import needs_font
from training.benchmarks import vocabulary
from training.benchmarks.vocabulary import VocabularyBenchmark, measure
from training.worlds.concepts import CONCEPTS


def test_the_names_are_all_concepts_and_distractors_that_say_nothing_of_them() -> None:
    names = vocabulary.vocabulary(load_grounding_detector(STARTER, device="cpu"), seed=0)
    assert len(names) == len(set(names)) == 1203
    concepts, distractors = names[: len(CONCEPTS)], names[len(CONCEPTS) :]
    assert concepts == tuple(concept.name for concept in CONCEPTS)
    said = {word for name in concepts for word in name.lower().split()}
    assert not said & {word for name in distractors for word in name.split()}


@needs_font
def test_knowing_what_is_there_is_the_best_that_can_be_asked() -> None:
    said: list[str] = []
    document = measure(load_grounding_detector(STARTER, device="cpu"), VocabularyBenchmark(images=3), said.append)
    assert list(document) == ["plain", "second_pass", "present", "names", "threshold", "images", "seed"]
    assert document["names"] == 1203
    assert len(said) == 3
    for way in ("plain", "second_pass"):
        assert document["present"]["AP50_pooled"] > document[way]["AP50_pooled"] > 0
        assert document["present"]["wrong"] <= document[way]["wrong"]


def test_the_command_line_has_the_benchmark() -> None:
    arguments = launch.parser().parse_args(["bench", "vocabulary", "--images", "5"])
    assert (arguments.name, arguments.images, arguments.seed) == ("vocabulary", 5, 0)
