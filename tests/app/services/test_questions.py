import numpy as np

from app.services.questions import FLOOR, answers, things
from engine.doubles import without_doubles
from engine.grounding import GroundingDetector
from engine.ontology import Ontology
from engine.preprocessing import Preprocessing
from tests.tiny_checkpoint import tiny_model, tiny_tokenizer


def test_names_that_take_several_prompts_stand_against_each_other() -> None:
    detector = GroundingDetector(tiny_model(), tiny_tokenizer(), Preprocessing(96, 160))
    ontology = Ontology.from_names(f"{colour} cat {number}" for colour in ("red", "blue") for number in range(80))
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8).repeat(20, 0).repeat(24, 1)
    (found,) = answers(detector, [image], things(ontology))
    (once,) = detector.detect([image], ontology, threshold=FLOOR)
    (twice,) = detector.detect([image], ontology, threshold=FLOOR, second_pass=True)
    assert 0 < len(found) < len(without_doubles(once))
    np.testing.assert_array_equal(found.confidence, without_doubles(twice).confidence)
