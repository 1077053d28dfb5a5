"""Batches of scenes for the starter."""

from dataclasses import replace

import numpy as np
import torch

from tests.training.worlds.font import needs_font
from training.starter.batches import BatchRules, SceneBatches, load
from training.starter.casting import CastRules, draw_cast
from training.starter.prompts import PromptRules, PromptWriter
from training.starter.tokenizer import build_tokenizer
from training.targets import Targets
from training.worlds.concepts import CONCEPTS, THINGS, UNTAUGHT
from training.worlds.held_out import is_unseen, unseen_things

pytestmark = needs_font

RULES = BatchRules(scenes=4, longest=(96, 128), told_share=0.5)


def batches(first: int = 0, end: int = 6) -> SceneBatches:
    writer = PromptWriter(build_tokenizer(), PromptRules(names=(4,)))
    return SceneBatches(writer, RULES, 5, first, end)


def test_a_batch_depends_only_on_the_seed_and_its_number() -> None:
    first, again = batches()[3], batches(first=3)[0]
    torch.testing.assert_close(first.pixels, again.pixels, rtol=0, atol=0)
    assert first.input_ids.tolist() == again.input_ids.tolist()
    for a, b in zip(first.targets, again.targets, strict=True):
        torch.testing.assert_close(a.boxes, b.boxes, rtol=0, atol=0)


def test_processes_have_scenes_of_their_own_in_one_size() -> None:
    writer = PromptWriter(build_tokenizer(), PromptRules(names=(4,)))
    first, second = (SceneBatches(writer, RULES, 5, 0, 6, rank=rank) for rank in (0, 1))
    for index in range(6):
        assert first[index].pixels.shape == second[index].pixels.shape
        assert not torch.equal(first[index].pixels, second[index].pixels)


def test_what_a_size_is_drawn_by_is_not_what_its_scenes_are() -> None:
    """To numpy (seed, step) and (seed, step, 0) are one stream: squares were always drawn small, and enlarged."""
    writer = PromptWriter(build_tokenizer(), PromptRules(names=(4,)))
    rules = BatchRules(scenes=1, longest=(96,), aspects=(1.0, 0.5), drawn=(0.2, 1.0), told_share=0.0)
    sharp: dict[bool, list[float]] = {True: [], False: []}
    for batch in load(SceneBatches(writer, rules, 5, 0, 60), workers=0):
        height, width = batch.pixels.shape[-2:]
        sharp[height == width].append(_steepness(batch.pixels))
    spread = {square: np.ptp(found) for square, found in sharp.items()}
    assert 0.5 < spread[True] / spread[False] < 2


def test_targets_are_named_and_inside_the_picture() -> None:
    found = 0
    for batch in load(batches(), workers=0):
        assert len(batch.pixels) == len(batch.targets) == 4
        for targets in batch.targets:
            found += len(targets.boxes)
            assert targets.positive_map.shape[1] <= batch.input_ids.shape[1]
            assert (targets.boxes[:, :2] - targets.boxes[:, 2:] / 2 >= -1e-6).all()
            assert (targets.boxes[:, :2] + targets.boxes[:, 2:] / 2 <= 1 + 1e-6).all()
    assert found > 10


def test_pictures_come_in_the_sizes_that_preprocessing_makes() -> None:
    for batch in load(batches(), workers=0):
        short, long = sorted(batch.pixels.shape[-2:])
        assert long <= 128
        assert short <= 96
        assert short % 8 == long % 8 == 0


def test_what_is_drawn_smaller_or_larger_is_resized_to_the_batchs_size() -> None:
    writer, index = PromptWriter(build_tokenizer(), PromptRules(names=(4,))), 1
    drawn, enlarged, reduced = (
        SceneBatches(writer, replace(RULES, drawn=part, told_share=0.0), 5, 0, 6)[index].pixels
        for part in ((1.0, 1.0), (0.4, 0.5), (1.4, 1.5))
    )
    for resized in (enlarged, reduced):
        assert resized.shape == drawn.shape
        assert resized.is_contiguous(memory_format=torch.channels_last)
    assert _steepness(enlarged) < 0.75 * _steepness(drawn)


def _steepness(pixels: torch.Tensor) -> float:
    return float(pixels.diff(dim=3).abs().mean())


def test_large_things_fill_pictures_alone_or_by_twos() -> None:
    writer = PromptWriter(build_tokenizer(), PromptRules(names=(4,)))
    rules = replace(RULES, scenes=16, told_share=0.0, empty_share=0.0, unnamed_share=0.0)
    usual, large = (
        [targets for batch in load(SceneBatches(writer, changed, 5, 0, 2), workers=0) for targets in batch.targets]
        for changed in (rules, replace(rules, large_share=1.0))
    )
    assert max(len(targets.boxes) for targets in large) <= 2
    assert _mean_area(large) > 2 * _mean_area(usual)


def _mean_area(found: list[Targets]) -> float:
    return float(torch.cat([targets.boxes[:, 2:].prod(-1) for targets in found]).mean())


def test_a_batch_has_one_prompt_or_a_text_for_each_scene() -> None:
    rows = set()
    for batch in load(batches(end=12), workers=0):
        rows.add(len(batch.input_ids))
        assert batch.input_ids.shape == batch.text_mask.shape
        assert isinstance(batch.names, list) == (len(batch.input_ids) > 1)
        assert (batch.input_ids[~batch.text_mask] == 0).all()
        for targets, mask in zip(batch.targets, batch.text_mask.expand(4, -1), strict=True):
            width = targets.positive_map.shape[1]
            assert not targets.positive_map[:, ~mask[:width]].any()
    assert rows == {1, 4}


def test_a_batch_with_texts_is_as_large_as_it_was_asked_to_be() -> None:
    writer = PromptWriter(build_tokenizer(), PromptRules(names=(4,)))
    rules = replace(RULES, scenes=6, told_share=1.0)
    for batch in load(SceneBatches(writer, rules, 5, 0, 3), workers=0):
        assert len(batch.pixels) == len(batch.targets) == len(batch.input_ids) == 6


def test_nothing_held_out_is_shown_or_named() -> None:
    writer = PromptWriter(
        build_tokenizer(), PromptRules(names=(16,), cast=CastRules(shape_share=0.5, tinted_share=0.5))
    )
    for number in range(40):
        cast, prompt = writer.draw(np.random.default_rng(number))
        shown = {thing for phrase in prompt.phrases for thing in phrase.things} | set(cast.others)
        assert not any(is_unseen(thing) for thing in shown)
        assert not shown & set(range(len(CONCEPTS), len(CONCEPTS) + len(UNTAUGHT)))
        texts = {phrase.text for phrase in prompt.phrases}
        assert not texts & {THINGS[thing].name for thing in unseen_things()}


def test_no_thing_fits_two_phrases_and_a_thing_in_its_own_colours_is_no_other_for_a_coloured_phrase() -> None:
    rules = CastRules(shape_share=0.3, tinted_share=0.5)
    for number in range(40):
        cast = draw_cast(np.random.default_rng(number), 24, rules)
        named = [thing for phrase in cast.phrases for thing in phrase.things]
        assert len(named) == len(set(named))
        assert not set(named) & set(cast.others)
        coloured = {THINGS[thing].noun for thing in named if THINGS[thing].tinted}
        natural = {THINGS[thing].noun for thing in cast.others if THINGS[thing].emoji and not THINGS[thing].tinted}
        assert not coloured & natural
        assert set(cast.rivals) <= set(cast.others)
