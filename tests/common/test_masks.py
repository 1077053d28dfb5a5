from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.masks import (
    Rle,
    checked_rle,
    decode_mask,
    encode_mask,
    mask_area,
    mask_box_xyxy,
    mask_from_polygons,
    polygons_from_mask,
    rle_from_runs,
)

masks = arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(masks)
def test_a_mask_survives_its_encoding(mask: np.ndarray) -> None:
    rle = encode_mask(mask)
    assert np.array_equal(decode_mask(rle), mask)
    assert mask_area(rle) == mask.sum()


@given(masks)
def test_uncompressed_runs_give_the_same_encoding(mask: np.ndarray) -> None:
    columns = mask.T.reshape(-1)  # COCO counts down the columns
    changes = np.flatnonzero(np.diff(columns)) + 1
    edges = [0, *changes.tolist(), columns.size]
    runs = [after - before for before, after in pairwise(edges)]
    if columns[0]:
        runs = [0, *runs]  # the first run is always of unset pixels
    assert rle_from_runs(mask.shape, runs) == encode_mask(mask)


@given(st.text(max_size=30), st.integers(1, 50), st.integers(1, 50))
def test_a_strangers_counts_are_refused_or_fill_their_size(counts: str, height: int, width: int) -> None:
    try:
        rle = checked_rle(Rle(size=[height, width], counts=counts))
    except ValueError:
        return
    assert decode_mask(rle).shape == (height, width)


def test_the_box_of_a_mask_is_right_and_bottom_exclusive() -> None:
    mask = np.zeros((10, 20), bool)
    mask[2:5, 3:9] = True
    assert mask_box_xyxy(encode_mask(mask)) == (3, 2, 9, 5)


def test_polygons_of_a_rectangle_draw_the_rectangle_again() -> None:
    mask = np.zeros((30, 40), bool)
    mask[5:20, 7:33] = True
    polygons = polygons_from_mask(encode_mask(mask))
    assert len(polygons) == 1
    assert np.array_equal(decode_mask(mask_from_polygons(polygons, 30, 40)), mask)


def test_each_part_of_a_mask_has_its_own_polygon() -> None:
    mask = np.zeros((30, 40), bool)
    mask[2:10, 2:10] = True
    mask[15:25, 20:35] = True
    assert len(polygons_from_mask(encode_mask(mask))) == 2


def test_a_disc_drawn_from_its_simplified_polygon_keeps_98_percent() -> None:
    y, x = np.mgrid[:100, :100]
    disc = (x - 50) ** 2 + (y - 50) ** 2 < 40**2
    again = decode_mask(mask_from_polygons(polygons_from_mask(encode_mask(disc)), 100, 100))
    assert (disc & again).sum() / (disc | again).sum() > 0.97


def test_an_empty_mask_has_no_polygons() -> None:
    assert polygons_from_mask(encode_mask(np.zeros((4, 4), bool))) == []


def test_a_polygon_of_two_points_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        mask_from_polygons([[0, 0, 1, 1]], 10, 10)
