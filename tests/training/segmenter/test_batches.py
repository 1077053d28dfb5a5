from dataclasses import replace

import numpy as np
import torch

from tests.training.segmenter.tiny import TINY, tiny_rules
from tests.training.worlds.font import needs_font
from training.segmenter.batches import Asked, MaskBatch, MaskBatches, _drawn
from training.segmenter.materials import Materials
from training.segmenter.nameless import nameless_picture
from training.segmenter.prompts import picture_prompts


def tensors(batch: MaskBatch) -> list[torch.Tensor]:
    asked = [batch.by_box, batch.by_clicks]
    values = [value for one in asked for value in (one.boxes_xyxy, one.points_xy, one.labels, one.masks)]
    return [batch.pixels, *(value for value in values if value is not None)]


@needs_font
def test_a_batch_is_decided_by_its_number_alone() -> None:
    first, later = MaskBatches(tiny_rules(), 0, 0, 9), MaskBatches(tiny_rules(), 0, 3, 9)
    for one, other in zip(tensors(first[4]), tensors(later[1]), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@needs_font
def test_the_answer_to_a_box_lies_in_it_and_touches_its_sides() -> None:
    batches = MaskBatches(tiny_rules(), 1, 0, 8)
    for asked in (batches[index].by_box for index in range(8)):
        assert asked.boxes_xyxy is not None
        cells = asked.boxes_xyxy * TINY.mask_side / TINY.side
        for box, mask in zip(cells.flatten(0, 1), asked.masks.flatten(0, 1), strict=True):
            rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
            if len(rows):
                found = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                # Boxes are loose by up to 6 pixels, which here are 3 cells; another is lost by rounding.
                assert (found - box).abs().max() <= 6 * TINY.mask_side / TINY.side + 2


@needs_font
def test_clicks_say_whether_they_hit() -> None:
    for index in range(6):
        asked: Asked = MaskBatches(tiny_rules(), 2, 0, 6)[index].by_clicks
        assert asked.boxes_xyxy is None
        assert asked.points_xy is not None
        assert asked.labels is not None
        assert bool((asked.labels[..., 0] == 1).all())


def test_prompts_fit_what_is_seen() -> None:
    owner = np.zeros((60, 80), np.uint8)
    owner[10:30, 20:50] = 1
    owner[40:42, 70:72] = 2  # too small to be asked for
    prompts = picture_prompts(np.random.default_rng(0), owner, boxes=20, clicks=20, points=3)
    assert prompts is not None
    assert set(prompts.box_owners.tolist()) == {1}
    assert np.abs(prompts.boxes_xyxy - [20, 10, 50, 30]).max() <= 6
    for points, labels in zip(prompts.points_xy, prompts.labels, strict=True):
        hit = owner[points[:, 1].astype(int), points[:, 0].astype(int)] == 1
        np.testing.assert_array_equal(hit, labels == 1)


def test_a_picture_without_things_has_no_prompts() -> None:
    assert picture_prompts(np.random.default_rng(0), np.zeros((9, 9), np.uint8), 1, 1, 1) is None


@needs_font
def test_nameless_pictures_show_figures_of_all_sizes() -> None:
    rng = np.random.default_rng(0)
    materials = Materials.drawn(rng, count=3, side=96)
    areas = []
    for _ in range(20):
        picture = nameless_picture(rng, (72, 96), materials)
        assert picture.image.shape == (72, 96, 3)
        areas += np.bincount(picture.owner.ravel())[1:].tolist()
    seen = np.array([area for area in areas if area])
    assert len(seen) > 60
    assert seen.min() < 100
    assert seen.max() > 1500


@needs_font
def test_close_pictures_show_a_thing_large() -> None:
    """As `CloserLook` shows it: its longer side is at least a quarter of the picture."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        picture = _drawn(rng, replace(tiny_rules(), close_share=1.0), Materials.drawn(rng, count=3, side=96))
        assert max(picture.owner.shape) == TINY.side
        extents = [np.nonzero(picture.owner == thing) for thing in np.unique(picture.owner) if thing]
        assert max(max(np.ptp(rows), np.ptp(columns)) for rows, columns in extents) >= TINY.side / 4
