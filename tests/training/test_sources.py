from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.preprocessing import Preprocessing
from tests.tiny_checkpoint import tiny_tokenizer
from tests.training.coloured_squares import ONTOLOGY, QUICK, squares
from training.config import TrainConfig
from training.data import BatchMaker
from training.samples import Sample
from training.sources import Mixture, Source
from training.vocabulary import PromptSampler

TOKENIZER = tiny_tokenizer()


class NoText:
    """A text that is never asked."""

    def sample(self, item: Any, rng: np.random.Generator) -> Sample:
        raise NotImplementedError


def source(items: Sequence[Any], share: float = 1.0) -> Source:
    return Source(items, NoText(), share)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.floats(0.05, 1)), min_size=1, max_size=4),
    st.integers(0, 3000),
    st.integers(0, 5),
)
def test_every_stretch_of_places_holds_each_source_in_its_share(
    kinds: list[tuple[int, float]], first: int, seed: int
) -> None:
    sources = [source([(index, item) for item in range(count)], share) for index, (count, share) in enumerate(kinds)]
    mixture = Mixture(sources, seed)
    drawn = [mixture[place][1] for place in range(first, first + 100)]
    whole = sum(share for _, share in kinds)
    for index, (count, share) in enumerate(kinds):
        own = [item for kind, item in drawn if kind == index]
        assert abs(len(own) - 100 * share / whole) <= 4
        visits = Counter(own)
        assert max(visits.values(), default=0) - min(visits[item] for item in range(count)) <= 2


def test_of_a_source_every_item_comes_once_before_any_comes_again() -> None:
    mixture = Mixture([source(range(7), 0.7), source(range(100, 103), 0.3)], seed=1)
    drawn = [mixture[place][1] for place in range(3000)]  # beyond the period of the pattern
    for items in (range(7), range(100, 103)):
        own = [item for item in drawn if item in items]
        epochs = [own[start : start + len(items)] for start in range(0, len(own) - len(items), len(items))]
        assert all(sorted(epoch) == list(items) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 3


def test_a_place_has_its_item_whatever_was_asked_before() -> None:
    sources = [source(range(5), 0.5), source(range(10, 14), 0.5)]
    forwards, backwards = Mixture(sources, 0), Mixture(sources, 0)
    there = [forwards[place][1] for place in range(2500)]
    back = [backwards[place][1] for place in reversed(range(2500))]
    assert there == back[::-1]


def test_a_source_without_items_or_share_is_left_out() -> None:
    mixture = Mixture([source([], 0.5), source([1], 0.0), source([2], 0.1)], 0)
    assert {mixture[place][1] for place in range(50)} == {2}
    with pytest.raises(ValueError, match="No source has an image"):
        Mixture([source([])], 0)


def make(folder: Path, config: TrainConfig, rank: int = 0, processes: int = 1, readers: int = 1) -> BatchMaker:
    prompts = PromptSampler(ONTOLOGY, TOKENIZER, config.mode, config.negatives)
    sources = [Source(squares(folder, 7), prompts)]
    return BatchMaker(sources, Preprocessing(96, 160), config, rank=rank, processes=processes, readers=readers)


@pytest.mark.parametrize("processes", [2, 3])
def test_the_parts_of_all_processes_make_the_step_of_one(tmp_path: Path, processes: int) -> None:
    config = replace(QUICK, mode="vocabulary", batch_size=5, crop=0.5, color=0.2)
    parts = [make(tmp_path, config, rank, processes) for rank in range(processes)]
    for step in (1, 2, 7):
        (whole,) = make(tmp_path, config)(step)
        shared = [batch for part in parts for batch in part(step)]
        assert sum((batch.image_ids for batch in shared), ()) == whole.image_ids
        assert sum((batch.texts for batch in shared), ()) == whole.texts
        for one, other in zip([t for batch in shared for t in batch.targets], whole.targets, strict=True):
            torch.testing.assert_close(one.boxes, other.boxes, rtol=0, atol=0)
            torch.testing.assert_close(one.positive_map, other.positive_map)
        row = 0
        for batch in shared:
            for pixels in batch.pixel_values:
                _, height, width = pixels.shape  # padded to the largest of its own part
                torch.testing.assert_close(pixels, whole.pixel_values[row, :, :height, :width], rtol=0, atol=0)
                row += 1


def test_two_processes_make_the_very_parts_that_one_makes_in_two(tmp_path: Path) -> None:
    config = replace(QUICK, batch_size=4)
    halves = make(tmp_path, replace(config, accumulate=2))(3)
    shared = [make(tmp_path, config, rank, 2)(3)[0] for rank in range(2)]
    for one, other in zip(halves, shared, strict=True):
        torch.testing.assert_close(one.pixel_values, other.pixel_values, rtol=0, atol=0)
        assert one.image_ids == other.image_ids


def test_a_process_without_an_image_gets_no_batch(tmp_path: Path) -> None:
    config = replace(QUICK, batch_size=1)
    assert [len(make(tmp_path, config, rank, 2)(1)) for rank in range(2)] == [0, 1]


def test_several_readers_make_the_very_batches_of_one(tmp_path: Path) -> None:
    config = replace(QUICK, mode="vocabulary", batch_size=6, crop=0.5, color=0.2)
    for step in (1, 2):
        (one,), (other,) = make(tmp_path, config)(step), make(tmp_path, config, readers=4)(step)
        assert one.texts == other.texts
        torch.testing.assert_close(one.pixel_values, other.pixel_values, rtol=0, atol=0)
