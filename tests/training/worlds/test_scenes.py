"""Rendered scenes and their exact labels."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.worlds.font import needs_font
from training.worlds import CONCEPTS, FontMissing, Scene, SceneRules, numbered_scene, render_scene
from training.worlds.sprites import find_font


def scenes(count: int = 12) -> list[Scene]:
    return [numbered_scene(3, index) for index in range(count)]


def test_eighty_concepts_have_eighty_names_and_pictures() -> None:
    assert len(CONCEPTS) == 80
    assert len({concept.emoji for concept in CONCEPTS}) == 80
    names = [name for concept in CONCEPTS for name in (concept.name, *concept.synonyms)]
    assert len(set(names)) == len(names)


@needs_font
def test_the_same_seed_and_number_give_the_same_scene() -> None:
    first, again, other = numbered_scene(5, 2), numbered_scene(5, 2), numbered_scene(5, 3)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.boxes_xyxy, again.boxes_xyxy)
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


@needs_font
def test_boxes_lie_inside_the_picture_and_have_an_area() -> None:
    for scene in scenes():
        height, width = scene.image.shape[:2]
        assert scene.image.dtype == np.uint8
        assert (scene.boxes_xyxy[:, :2] >= 0).all()
        assert (scene.boxes_xyxy[:, 2:] <= [width, height]).all()
        assert (scene.boxes_xyxy[:, 2:] > scene.boxes_xyxy[:, :2]).all()


@needs_font
def test_a_mask_lies_in_its_box_and_masks_do_not_share_pixels() -> None:
    for scene in scenes():
        masks = scene.masks()
        assert masks.shape == (len(scene.labels), *scene.image.shape[:2])
        assert (masks.sum(0) <= 1).all()
        for mask, (x1, y1, x2, y2) in zip(masks, scene.boxes_xyxy.astype(int).tolist(), strict=True):
            assert mask.any()
            assert mask[y1:y2, x1:x2].sum() == mask.sum()


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


@needs_font
def test_without_concepts_a_scene_is_empty() -> None:
    scene = render_scene(np.random.default_rng(0), (64, 64), [])
    assert scene.boxes_xyxy.shape == (0, 4)
    assert scene.masks().shape == (0, 64, 64)


def test_a_missing_font_is_told_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(FontMissing, match="apt-get install fonts-noto-color-emoji"):
        find_font((tmp_path / "none.ttf",))
