import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from common.images import ImageRefused
from engine.ontology import Category, Ontology
from engine.preprocessing import Preprocessing
from engine.prompts import pack
from tests.tiny_checkpoint import tiny_tokenizer
from tests.training.coloured_squares import COLOURS, ONTOLOGY, QUICK, labelled, squares
from training.config import TrainConfig
from training.data import Batch, BatchMaker, prefetched, resized_to, scales
from training.sources import Source
from training.vocabulary import OTHER_NAMES, PromptSampler

TOKENIZER = tiny_tokenizer()
SIZES = Preprocessing(96, 160)


def maker(folder: Path, config: TrainConfig = QUICK, count: int = 7) -> BatchMaker:
    prompts = PromptSampler(ONTOLOGY, TOKENIZER, config.mode, config.negatives)
    return BatchMaker([Source(squares(folder, count), prompts)], SIZES, config)


def assert_equal(first: Batch, second: Batch) -> None:
    assert first.image_ids == second.image_ids
    torch.testing.assert_close(first.pixel_values, second.pixel_values, rtol=0, atol=0)
    torch.testing.assert_close(first.input_ids, second.input_ids, rtol=0, atol=0)
    for one, other in zip(first.targets, second.targets, strict=True):
        torch.testing.assert_close(one.boxes, other.boxes, rtol=0, atol=0)
        torch.testing.assert_close(one.positive_map, other.positive_map)


@pytest.mark.parametrize("mode", ["closed", "vocabulary"])
def test_the_batch_of_a_step_does_not_depend_on_those_before(tmp_path: Path, mode: str) -> None:
    config = QUICK.updated({"mode": mode, "crop": 0.5})
    one, other = maker(tmp_path, config), maker(tmp_path, config)
    for step in (1, 2, 3):
        one(step)
    assert_equal(one(4)[0], other(4)[0])


def test_every_image_comes_once_before_any_comes_again(tmp_path: Path) -> None:
    make = maker(tmp_path, count=7)  # 2 a step: an epoch ends in the middle of step 4
    seen = [image.id for step in range(1, 8) for image in make.images_of(step)]
    assert sorted(seen[:7]) == sorted(seen[7:]) == [1, 2, 3, 4, 5, 6, 7]
    assert seen[:7] != seen[7:]


def test_a_batch_may_be_larger_than_the_dataset(tmp_path: Path) -> None:
    make = maker(tmp_path, replace(QUICK, batch_size=5), count=2)
    assert len(make(1)[0].image_ids) == 5


@pytest.mark.parametrize("seed", range(6))
def test_boxes_lie_on_their_objects_in_the_unpadded_frame(tmp_path: Path, seed: int) -> None:
    config = replace(QUICK, batch_size=6, crop=0.5, flip=0.5, color=0.0, seed=seed)
    (batch,) = maker(tmp_path, config)(1)
    tokens = {first: word for word, first in enumerate(("blue", "red"))}
    for index, target in enumerate(batch.targets):
        height, width = int(batch.pixel_mask[index, :, 0].sum()), int(batch.pixel_mask[index, 0].sum())
        for (cx, cy, _, _), row in zip(target.boxes.tolist(), target.positive_map, strict=True):
            first_word = TOKENIZER.convert_ids_to_tokens(int(batch.input_ids[index, int(row.int().argmax())]))
            color = COLOURS[tokens[first_word]]
            pixel = batch.pixel_values[index, :, int(cy * height), int(cx * width)]
            value = (pixel * torch.tensor(SIZES.std) + torch.tensor(SIZES.mean)) * 255
            # squares may lie on each other: the other colour is as good
            assert any(np.abs(value.numpy() - other).max() < 40 for other in (color, *COLOURS))


def test_a_full_image_box_stays_one_when_its_image_is_padded(tmp_path: Path) -> None:
    wide = squares(tmp_path, 3)[2]  # 128 x 96
    square = squares(tmp_path, 1)[0]
    images = [labelled(i.id, i.path, i.width, i.height, [[0, 0, i.width, i.height]], [0]) for i in (wide, square)]
    prompts = PromptSampler(ONTOLOGY, TOKENIZER, "closed", 0)
    (batch,) = BatchMaker([Source(images, prompts)], SIZES, replace(QUICK, flip=0.0))(1)
    assert len(set(batch.pixel_mask[:, 0].sum(-1).tolist())) == 2  # one of them is padded
    for target in batch.targets:
        torch.testing.assert_close(target.boxes, torch.tensor([[0.5, 0.5, 1.0, 1.0]]))


def test_prompts_of_unlike_lengths_are_padded_and_masked(tmp_path: Path) -> None:
    (batch,) = maker(tmp_path, QUICK.updated({"mode": "vocabulary", "batch_size": 6, "accumulate": 1}))(1)
    lengths = batch.attention_mask.sum(-1)
    assert len(set(lengths.tolist())) > 1
    for ids, length, target in zip(batch.input_ids, lengths.tolist(), batch.targets, strict=True):
        assert ids[length - 1] == 102  # [SEP]
        assert ids[length - 2] == 1012  # '.'
        assert not ids[length:].any()
        assert target.positive_map.shape[1] == length


def test_a_step_is_split_into_parts_of_equal_seed(tmp_path: Path) -> None:
    parts = maker(tmp_path, replace(QUICK, batch_size=4, accumulate=2))(1)
    assert [len(part.image_ids) for part in parts] == [2, 2]


def test_nothing_is_padded_where_cells_shall_end_where_pictures_end(tmp_path: Path) -> None:
    prompts = PromptSampler(ONTOLOGY, TOKENIZER, QUICK.mode, QUICK.negatives)
    source, config = Source(squares(tmp_path, 6), prompts), replace(QUICK, batch_size=6)
    (padded,) = BatchMaker([source], SIZES, config)(1)
    assert not padded.pixel_mask.all()
    alike = BatchMaker([source], replace(SIZES, multiple_of=32), config)(1)
    assert all(part.pixel_mask.all() for part in alike)
    assert 1 < len({part.pixel_values.shape[2:] for part in alike}) == len(alike)
    assert sorted(id_ for part in alike for id_ in part.image_ids) == sorted(padded.image_ids)


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    make = maker(tmp_path)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with pytest.raises(ImageRefused, match="no longer where it was imported from"):
        make(1)


def test_sizes_follow_the_detectors_own_or_the_settings() -> None:
    own = scales(Preprocessing(800, 1333), ())
    assert [p.shortest_edge for p in own] == [640, 720, 800, 880, 960]
    assert [p.longest_edge for p in own][:3] == [1066, 1200, 1333]
    assert [p.shortest_edge for p in scales(SIZES, (320, 352))] == [320, 352]


def test_sizes_of_whole_multiples_squeeze_pictures_both_ways() -> None:
    own = Preprocessing(shortest_edge=288, longest_edge=384, multiple_of=32)
    photos = [(640, 480), (480, 640), (1024, 768), (660, 371), (275, 183), (259, 194), (800, 533)]
    changes = []
    for scale in scales(own, ()):
        for width, height in photos:
            new_height, new_width = scale.resized_hw(height, width)
            changes.append(np.log(max(new_height, new_width) / min(new_height, new_width)))
            changes[-1] -= np.log(max(width, height) / min(width, height))
    assert abs(np.mean(changes)) < 0.03
    assert resized_to(replace(own, shortest_edge=300, longest_edge=300), 350).longest_edge == 352


def test_work_ahead_stops_when_nobody_asks_any_more() -> None:
    made: list[int] = []

    def make(step: int) -> int:
        made.append(step)
        return step

    ahead = prefetched(make, range(1, 100))
    assert [next(ahead), next(ahead)] == [1, 2]
    ahead.close()  # type: ignore[attr-defined]
    assert len(made) <= 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_an_error_in_the_work_ahead_reaches_the_caller() -> None:
    def make(step: int) -> int:
        if step == 3:
            raise ValueError("step 3")
        return step

    ahead = prefetched(make, range(1, 6))
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(ValueError, match="step 3"):
        next(ahead)


def words(input_ids: tuple[int, ...]) -> list[str]:
    return [word.strip() for word in TOKENIZER.decode(input_ids, skip_special_tokens=True).split(".") if word.strip()]


def test_a_closed_prompt_names_every_category_in_order() -> None:
    sampler = PromptSampler(ONTOLOGY, TOKENIZER, "closed", 10)
    for seed in range(3):
        prompt = sampler({1}, {0}, np.random.default_rng(seed))
        assert words(prompt.input_ids) == ["blue ball", "red car"]
        assert set(prompt.positive_map) == {0, 1}


def test_a_vocabulary_prompt_hides_what_is_there_among_what_is_not() -> None:
    sampler = PromptSampler(ONTOLOGY, TOKENIZER, "vocabulary", 5)
    prompts = [sampler({1}, {0}, np.random.default_rng(seed)) for seed in range(20)]
    named = [words(prompt.input_ids) for prompt in prompts]
    assert all("red car" in names and 2 <= len(names) <= 6 for names in named)
    assert len({names.index("red car") for names in named}) > 2  # its place tells nothing
    assert any("blue ball" in names for names in named)  # the other category is a negative too
    for prompt, names in zip(prompts, named, strict=True):
        assert set(prompt.positive_map) == {0, 1} & {ONTOLOGY.names.index(n) for n in names if n in ONTOLOGY.names}
        (row,) = [prompt.positive_map[1].nonzero().flatten().tolist()]
        assert TOKENIZER.decode([prompt.input_ids[index] for index in row]) == "red car"


def test_an_image_that_shows_nothing_still_has_a_prompt() -> None:
    for negatives in (0, 3):
        prompt = PromptSampler(ONTOLOGY, TOKENIZER, "vocabulary", negatives)(set(), {0, 1}, np.random.default_rng(0))
        assert words(prompt.input_ids)


TWO_PHRASES = Ontology((Category("car", ("red car", "blue car")), Category("cat")))


def test_one_of_several_phrases_is_drawn_each_time() -> None:
    sampler = PromptSampler(TWO_PHRASES, TOKENIZER, "vocabulary", 0)
    drawn = [words(sampler({0}, {1}, np.random.default_rng(seed)).input_ids) for seed in range(10)]
    assert sorted(map(tuple, {tuple(names) for names in drawn})) == [("blue car",), ("red car",)]


def test_a_closed_prompt_holds_all_phrases_as_when_it_is_measured() -> None:
    prompt = PromptSampler(TWO_PHRASES, TOKENIZER, "closed", 0)({0}, {1}, np.random.default_rng(0))
    (asked,) = pack(TWO_PHRASES, TOKENIZER)
    assert prompt.input_ids == asked.prompt.input_ids
    assert prompt.text == "red car. blue car. cat."
    # [CLS] red car . blue car . cat . [SEP]: a car is named by both phrases
    assert prompt.positive_map[0].int().tolist() == [0, 1, 1, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("mode", ["closed", "vocabulary"])
def test_what_does_not_fit_into_a_prompt_loses_its_boxes_too(mode: str) -> None:
    ontology = Ontology.from_names([f"cat {index}" for index in range(30)])
    sampler = PromptSampler(ontology, TOKENIZER, mode, 10, max_tokens=40)  # type: ignore[arg-type]
    for seed in range(5):
        prompt = sampler({3, 29}, {*range(30)} - {3, 29}, np.random.default_rng(seed))
        assert len(prompt.input_ids) <= 40
        assert set(prompt.positive_map) & {3, 29}


def test_names_beside_the_dataset_are_never_its_own() -> None:
    ontology = Ontology((Category("Walrus", ("sea cow",)), Category("x", ("igloo",))))
    sampler = PromptSampler(ontology, TOKENIZER, "vocabulary", 100)
    named = words(sampler({0}, {1}, np.random.default_rng(0)).input_ids)
    assert "walrus" not in named
    assert named.count("igloo") <= 1
    assert len(set(OTHER_NAMES)) == len(OTHER_NAMES)
