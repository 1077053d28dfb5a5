"""Batches of scenes for the starter."""

import torch

from tests.training.worlds.font import needs_font
from training.starter.batches import BatchRules, SceneBatches, load
from training.starter.prompts import PromptRules, PromptWriter
from training.starter.tokenizer import build_tokenizer

pytestmark = needs_font

RULES = BatchRules(scenes=3, longest=(96, 128))


def batches(first: int = 0, end: int = 6) -> SceneBatches:
    writer = PromptWriter(build_tokenizer(), PromptRules(names=(4,)))
    return SceneBatches(writer, RULES, 5, first, end)


def test_a_batch_depends_only_on_the_seed_and_its_number() -> None:
    first, again = batches()[3], batches(first=3)[0]
    torch.testing.assert_close(first.pixels, again.pixels, rtol=0, atol=0)
    assert first.input_ids.tolist() == again.input_ids.tolist()
    for a, b in zip(first.targets, again.targets, strict=True):
        torch.testing.assert_close(a.boxes, b.boxes, rtol=0, atol=0)


def test_targets_are_named_and_inside_the_picture() -> None:
    found = 0
    for batch in load(batches(), workers=0):
        assert len(batch.pixels) == len(batch.targets) == 3
        for targets in batch.targets:
            found += len(targets.boxes)
            assert targets.positive_map.shape[1] == batch.input_ids.shape[1]
            assert (targets.boxes[:, :2] - targets.boxes[:, 2:] / 2 >= -1e-6).all()
            assert (targets.boxes[:, :2] + targets.boxes[:, 2:] / 2 <= 1 + 1e-6).all()
    assert found > 10


def test_pictures_come_in_the_sizes_that_preprocessing_makes() -> None:
    for batch in load(batches(), workers=0):
        short, long = sorted(batch.pixels.shape[-2:])
        assert long <= 128
        assert short <= 96
        assert short % 8 == long % 8 == 0
