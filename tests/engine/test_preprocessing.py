import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.image_transforms import get_size_with_aspect_ratio

from engine.errors import CheckpointRefused
from engine.preprocessing import MIN_EDGE_PX, Picture, Preprocessing

SMALL = Preprocessing(shortest_edge=96, longest_edge=160)


def noise(height: int, width: int, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_shorter_side_is_resized_and_the_aspect_kept() -> None:
    assert SMALL.resized_hw(300, 400) == (96, 128)
    assert SMALL.resized_hw(400, 300) == (128, 96)


def test_the_longest_edge_wins() -> None:
    assert SMALL.resized_hw(100, 400) == (40, 160)


@given(
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
    short=st.sampled_from([96, 480, 800]),
    times=st.floats(1, 3),
)
def test_sizes_are_those_of_transformers(height: int, width: int, short: int, times: float) -> None:
    longest = int(short * times)
    theirs = get_size_with_aspect_ratio((height, width), short, longest)
    ours = Preprocessing(short, longest).resized_hw(height, width)
    assert ours == (max(theirs[0], 1), max(theirs[1], 1))


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), multiple=st.sampled_from([2, 8, 32, 64]))
def test_sides_are_the_nearest_multiples_of_what_they_would_be(height: int, width: int, multiple: int) -> None:
    free = Preprocessing(288, 384).resized_hw(height, width)
    rounded = Preprocessing(288, 384, multiple_of=multiple).resized_hw(height, width)
    for side, was in zip(rounded, free, strict=True):
        assert side % multiple == 0
        assert multiple <= side <= 384
        assert abs(side - min(was, 384)) <= multiple / 2 or (was < multiple == side)


def test_a_multiple_larger_than_the_picture_may_be_is_still_a_size() -> None:
    assert Preprocessing(32, 43, multiple_of=64).resized_hw(30, 40) == (64, 64)


def test_a_picture_is_resized_once_however_often_its_new_size_would_be_resized_again() -> None:
    usual, picture = Preprocessing(), noise(1423, 2485)
    once = usual.resized_hw(1423, 2485)
    assert usual.resized_hw(*once) != once  # the rounding of the one and the other
    ahead = usual.ahead(picture)
    assert ahead.pixels.shape == (*once, 3)
    assert ahead.shape == (1423, 2485, 3)
    for values, _, sizes in (usual.resize_batch([picture]), usual.resize_batch([ahead]), usual.batch([ahead.pixels])):
        assert sizes == [once]
        assert torch.equal(values, usual.resize_batch([picture])[0])


def test_a_batch_is_padded_to_its_largest_and_masked() -> None:
    values, mask, sizes = SMALL.resize_batch([noise(300, 400), noise(400, 300)])
    assert sizes == [(96, 128), (128, 96)]
    assert values.shape == (2, 3, 128, 128)
    assert mask.sum((1, 2)).tolist() == [96 * 128, 128 * 96]
    assert values[0, :, 96:].abs().max() == 0
    assert values[1, :, :, 96:].abs().max() == 0


def test_padding_changes_no_pixel_of_a_picture() -> None:
    picture = noise(300, 400)
    alone, _, _ = SMALL.resize_batch([picture])
    beside, _, _ = SMALL.resize_batch([noise(400, 300), picture])
    assert torch.equal(alone[0], beside[1, :, :96, :128])


def test_pixels_are_normalised_a_channel_each() -> None:
    grey = np.full((96, 96, 3), 128, np.uint8)
    values, _, _ = Preprocessing(96, 96, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 2.0)).resize_batch([grey])
    # 128 / 255 = 0.50196: (0.50196 - 0) / 1, (0.50196 - 0.5) / 0.5, (0.50196 - 1) / 2
    assert values[0, :, 0, 0].tolist() == pytest.approx([0.50196, 0.00392, -0.24902], abs=1e-5)


def test_shrinking_is_antialiased() -> None:
    checkers = (np.indices((960, 960)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    small = SMALL.resize(checkers)
    assert small.min() >= 126
    assert small.max() <= 129  # without antialiasing the squares would survive as 0 and 255


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
def test_a_strip_of_one_pixel_is_padded_to_a_usable_size(size: tuple[int, int]) -> None:
    values, mask, (resized,) = SMALL.resize_batch([noise(*size)])
    assert min(values.shape[2:]) >= MIN_EDGE_PX
    assert int(mask.sum()) == resized[0] * resized[1] > 0


def test_settings_survive_a_round_trip_through_a_file(tmp_path: Path) -> None:
    settings = Preprocessing(192, 320, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), multiple_of=32)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings.to_json()))
    assert Preprocessing.from_folder(tmp_path) == settings


def test_settings_are_found_inside_processor_config_too(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": SMALL.to_json()}))
    assert Preprocessing.from_folder(tmp_path) == SMALL


def test_a_folder_without_settings_has_the_defaults(tmp_path: Path) -> None:
    assert Preprocessing.from_folder(tmp_path) == Preprocessing(800, 1333)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"size": 3}',
        '{"size": {"shortest_edge": -1}}',
        '{"image_mean": [1]}',
        '{"image_std": "ab"}',
        '{"ensure_multiple_of": 0}',
        '{"ensure_multiple_of": []}',
        '{"ensure_multiple_of": 1e999}',
        '{"size": {"longest_edge": 1e999}}',
    ],
)
def test_broken_settings_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(CheckpointRefused) as refusal:
        Preprocessing.from_folder(tmp_path)
    assert "\n" not in str(refusal.value)
