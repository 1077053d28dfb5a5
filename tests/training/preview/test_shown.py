"""What a preview shows is what the batch holds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from annotations.categories import PALETTE
from common.images import read_image
from tests.training.coloured_squares import QUICK, batches_of, squares, tiny_grounding_detector
from training.data import Batch
from training.preview import ShownSample, shown_samples
from training.targets import Targets

STILL = QUICK.updated({"flip": 0, "color": 0, "sizes_px": [96]})
COLORS = {"blue ball": "#0000ff", "red car": "#ff0000"}


def shown(folder: Path, count: int = 3) -> list[ShownSample]:
    detector = tiny_grounding_detector()
    batches = batches_of(detector, squares(folder, 3), STILL)
    return list(shown_samples(batches, count, detector.tokenizer, detector.preprocessing, COLORS))


def test_pixels_are_those_of_the_file_and_padding_is_none_of_them(tmp_path: Path) -> None:
    samples = shown(tmp_path)
    assert [sample.step for sample in samples] == [1, 1, 2]  # two images a step
    assert sorted(sample.image_id for sample in samples) == [1, 2, 3]
    for sample in samples:
        height, width = sample.size_hw
        original = read_image(tmp_path / f"{sample.image_id - 1}.png")
        assert np.abs(sample.image[:height, :width].astype(int) - original).max() <= 1  # rounded twice
        assert set(np.unique(sample.image[:, width:])) <= {208, 228}


def test_boxes_stand_where_they_were_drawn_and_bear_their_category_s_colour(tmp_path: Path) -> None:
    images = {image.id: image for image in squares(tmp_path, 3)}
    for sample in shown(tmp_path):
        labels = images[sample.image_id]
        np.testing.assert_allclose([box.xyxy for box in sample.boxes], labels.boxes_xyxy, atol=1e-3)
        names = [("blue ball", "red car")[index] for index in labels.category_ids]
        assert [box.name for box in sample.boxes] == names
        assert [box.color for box in sample.boxes] == [COLORS[name] for name in names]


def test_the_words_of_a_box_bear_its_colour_and_the_rest_bears_none(tmp_path: Path) -> None:
    for sample in shown(tmp_path):
        asked = {box.name for box in sample.boxes}
        text = {token.text: [token.role, *token.colors] for token in sample.tokens}
        assert text["[CLS]"] == text["[SEP]"] == ["special"]
        assert text["blue"] == ["name", *([COLORS["blue ball"]] if "blue ball" in asked else [])]
        assert text["car"] == ["name", *([COLORS["red car"]] if "red car" in asked else [])]
        assert text["."] == ["name"]


def test_unknown_and_padded_tokens_are_told_apart_from_names() -> None:
    detector = tiny_grounding_detector()
    ids = detector.tokenizer("red car. cat.").input_ids
    positive_map = torch.zeros(1, len(ids), dtype=torch.bool)
    positive_map[0, 1:3] = True
    unknown = torch.zeros(len(ids), dtype=torch.bool)
    unknown[4] = True  # [CLS] red car . cat . [SEP]
    batch = Batch(
        pixel_values=torch.zeros(1, 3, 8, 8),
        pixel_mask=torch.ones(1, 8, 8, dtype=torch.int64),
        input_ids=torch.tensor([[*ids, 0, 0]]),
        attention_mask=torch.tensor([[1] * len(ids) + [0, 0]]),
        targets=(Targets(torch.tensor([[0.5, 0.5, 0.5, 0.5]]), positive_map, unknown),),
        image_ids=(7,),
    )
    (sample,) = shown_samples(lambda _step: [batch], 1, detector.tokenizer, detector.preprocessing)
    roles = [token.role for token in sample.tokens]
    assert roles == ["special", "name", "name", "name", "unknown", "name", "special", "padding", "padding"]
    (box,) = sample.boxes
    assert box.xyxy == pytest.approx((2, 2, 6, 6))
    assert (box.name, box.places) == ("red car", (1, 2))
    assert box.color in PALETTE  # nobody gave it one


@pytest.mark.parametrize("count", [1, 5])
def test_as_many_are_shown_as_asked_for(tmp_path: Path, count: int) -> None:
    assert len(shown(tmp_path, count)) == count
