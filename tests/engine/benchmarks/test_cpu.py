"""The benchmark's own rows, on the starter: what it compares is really equal, and every row is there."""

import pytest

from engine.benchmarks.cpu import SWITCHES, measure
from engine.benchmarks.full_size import names
from engine.benchmarks.subject import Subject, subject_of
from engine.checkpoints import STARTER, load_grounding_detector
from engine.preprocessing import Preprocessing
from tests.tiny_checkpoint import tiny_tokenizer


@pytest.fixture(scope="module")
def subject() -> Subject:
    model = load_grounding_detector(STARTER, device="cpu").model
    return subject_of(model, Preprocessing(192, 256), (192, 256), repeats=1, vocabulary=90)


def test_every_row_is_measured(subject: Subject) -> None:
    said: list[str] = []
    found = measure(subject, said.append, ((12, 16), (6, 8)))
    assert found["max_diff"] < 1e-4
    assert found["batch_diff"] < 1e-4
    assert found["naive_prompts"] == 3  # 90 names, 40 at a time
    assert 1 <= found["vocabulary_prompts"] < 3
    gains = (*SWITCHES, "keep_features")
    times = (
        "latency_ratio",
        "learning_ratio",
        "over_floor",
        "reprompt_ratio",
        "vocabulary_ratio",
        *(f"gain_{name}" for name in gains),
    )
    assert all(found[name] > 0 for name in times)
    assert said


def test_names_differ_and_are_the_same_each_time() -> None:
    found = names(tiny_tokenizer(), 40)
    assert len(set(found)) == 40
    assert found == names(tiny_tokenizer(), 40)
    assert found != names(tiny_tokenizer(), 40, seed=1)
