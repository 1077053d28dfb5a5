"""Rendered scenes and their exact labels."""

import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.worlds.font import needs_font
from training.worlds import FontMissing, Scene, SceneRules, numbered_scene, render_scene
from training.worlds.concepts import COLOURED_SHAPES, TEXTURED_SHAPES, THINGS
from training.worlds.scenes import CROWDED_RULES
from training.worlds.sprites import find_font

SHAPES = [place for place, thing in enumerate(THINGS) if thing in {*COLOURED_SHAPES, *TEXTURED_SHAPES}]
UNTOUCHED = SceneRules(
    light_share=0, shadow_share=0, surface_share=0, blur_share=0, noise_share=0, jpeg_share=0, max_overlap=0
)


def scenes(count: int = 12) -> list[Scene]:
    return [numbered_scene(3, index) for index in range(count)]


def shape_scene(seed: int, rules: SceneRules | None = None) -> Scene:
    return render_scene(np.random.default_rng(seed), (192, 256), SHAPES, rules)


def check_boxes(scene: Scene) -> None:
    height, width = scene.image.shape[:2]
    assert scene.image.dtype == np.uint8
    assert (scene.boxes_xyxy[:, :2] >= 0).all()
    assert (scene.boxes_xyxy[:, 2:] <= [width, height]).all()
    assert (scene.boxes_xyxy[:, 2:] > scene.boxes_xyxy[:, :2]).all()


@needs_font
def test_the_same_seed_and_number_give_the_same_scene() -> None:
    for index in range(6):
        first, again, other = numbered_scene(5, index), numbered_scene(5, index), numbered_scene(5, index + 1)
        np.testing.assert_array_equal(first.image, again.image)
        np.testing.assert_array_equal(first.boxes_xyxy, again.boxes_xyxy)
        np.testing.assert_array_equal(first.owner, again.owner)
        assert first.image.shape != other.image.shape or (first.image != other.image).any()


@needs_font
def test_boxes_lie_inside_the_picture_and_have_an_area() -> None:
    for scene in scenes():
        check_boxes(scene)


def test_boxes_of_things_that_the_edge_cuts_lie_inside_the_picture_and_have_an_area() -> None:
    cut = SceneRules(cut_share=1, min_objects=4)
    for seed in range(25):
        check_boxes(shape_scene(seed, cut))


@needs_font
def test_a_mask_lies_in_its_box_and_masks_do_not_share_pixels() -> None:
    for scene in scenes():
        masks = scene.masks()
        assert masks.shape == (len(scene.labels), *scene.image.shape[:2])
        assert (masks.sum(0) <= 1).all()
        for mask, (x1, y1, x2, y2) in zip(masks, scene.boxes_xyxy.astype(int).tolist(), strict=True):
            assert mask.any()
            assert mask[y1:y2, x1:x2].sum() == mask.sum()


def test_every_thing_can_be_seen_however_crowded_its_scene_is() -> None:
    rules = SceneRules(min_objects=30, max_objects=30, max_overlap=0.6, cut_share=0.5)
    for seed in range(20):
        scene = shape_scene(seed, rules)
        for mask, (x1, y1, x2, y2) in zip(scene.masks(), scene.boxes_xyxy.tolist(), strict=True):
            assert mask.sum() > 0.03 * (x2 - x1) * (y2 - y1)  # a thin crescent, mostly covered


def test_a_box_is_the_extent_of_the_mask_where_nothing_covers_it() -> None:
    rules = SceneRules(max_overlap=0, cut_share=0.5, turned_share=1, smallest=0.06)
    seen = 0
    for seed in range(25):
        scene = shape_scene(seed, rules)
        for mask, box in zip(scene.masks(), scene.boxes_xyxy.astype(int).tolist(), strict=True):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            assert box == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            seen += 1
    assert seen > 50


@needs_font
def test_things_cover_each_other_no_more_than_the_rules_allow() -> None:
    rules = SceneRules(min_objects=8, max_objects=8, cut_share=0)
    for index in range(8):
        boxes = numbered_scene(9, index, rules=rules).boxes_xyxy
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                wh = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
                smaller = min((a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod())
                assert wh.clip(0).prod() <= rules.max_overlap * smaller + 1e-3


@needs_font
def test_a_scene_shows_only_the_concepts_it_was_given() -> None:
    scene = render_scene(np.random.default_rng(0), (90, 300), [4, 7], SceneRules(min_objects=5))
    assert scene.image.shape == (90, 300, 3)
    assert set(scene.labels.tolist()) <= {4, 7}
    assert len(scene.labels)


@needs_font
def test_without_concepts_a_scene_is_empty() -> None:
    scene = render_scene(np.random.default_rng(0), (64, 64), [], SceneRules(clutter_share=1))
    assert scene.boxes_xyxy.shape == (0, 4)
    assert scene.masks().shape == (0, 64, 64)
    assert not scene.owner.any()


@needs_font
def test_a_crowded_scene_shows_many_small_things() -> None:
    counts = [len(numbered_scene(1, index, longest_px=320, rules=CROWDED_RULES).labels) for index in range(8)]
    assert max(counts) > 15
    assert min(counts) >= 8


@pytest.mark.parametrize("size_hw", [(64, 64), (33, 71), (200, 40), (700, 660)])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_scenes_of_any_size_and_any_share_can_be_drawn(size_hw: tuple[int, int], share: float) -> None:
    rules = SceneRules(
        turned_share=share,
        jpeg_share=share,
        backdrop_share=share,
        clutter_share=0,  # shreds need the font
        light_share=share,
        shadow_share=share,
        surface_share=share,
        blur_share=share,
        noise_share=share,
        soft_share=share,
        thicket_share=share,
        developed_share=share,
    )
    for seed in range(6):
        scene = render_scene(np.random.default_rng(seed), size_hw, SHAPES, rules)
        assert scene.image.shape == (*size_hw, 3)
        check_boxes(scene)


def test_a_shape_has_its_colour_where_its_mask_says() -> None:
    red = next(place for place, thing in enumerate(THINGS) if thing.name == "red circle")
    rules = replace(UNTOUCHED, smallest=0.3, clutter_share=0)
    scene = render_scene(np.random.default_rng(2), (200, 200), [red], rules)
    for mask in scene.masks():
        np.testing.assert_allclose(np.median(scene.image[mask], 0), (215, 35, 35), atol=2)


def saturation(scene: Scene) -> float:
    """Of the things, not of what is behind them."""
    return float(np.ptp(scene.image[scene.owner > 0], axis=1).mean())


@needs_font
def test_pictures_are_developed_where_nothing_is_named_by_its_colour() -> None:
    developed = replace(UNTOUCHED, developed_share=1)
    cat, shape = (
        next(place for place, thing in enumerate(THINGS) if thing.name == name) for name in ("cat", "red cross")
    )
    for thing, changes in ((cat, True), (shape, False)):
        clear, pale = (
            saturation(render_scene(np.random.default_rng(4), (120, 160), [thing], rules))
            for rules in (UNTOUCHED, developed)
        )
        assert (pale < 0.9 * clear) == changes


@needs_font
def test_rendering_uses_one_thread() -> None:
    before = threading.active_count()
    numbered_scene(0, 0)
    assert cv2.getNumThreads() == 1
    assert threading.active_count() == before


def test_a_missing_font_is_told_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(FontMissing, match="apt-get install fonts-noto-color-emoji"):
        find_font((tmp_path / "none.ttf",))
