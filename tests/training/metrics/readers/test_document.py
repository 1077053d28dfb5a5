"""What every reader refuses, in one line that says where."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.metrics.readers.layouts import COCO, D3, D3_GROUPS, FLICKR, LVIS, Json, referring, write
from training.errors import LayoutRefused
from training.metrics.readers import read_coco, read_flickr, read_grefcoco, read_lvis, read_refcoco
from training.metrics.readers.d3 import read_d3

READERS: dict[str, Callable[[Path], Any]] = {
    "coco": read_coco,
    "lvis": read_lvis,
    "flickr": read_flickr,
    "refcoco": read_refcoco,
    "grefcoco": read_grefcoco,
    "d3": read_d3,
}


def refusal(read: Callable[[Path], Any], path: Path) -> str:
    with pytest.raises(LayoutRefused) as caught:
        read(path)
    line = str(caught.value)
    assert "\n" not in line and line.endswith(".")
    return line


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("suffix", [".p", ".pkl", ".PICKLE"])
def test_a_pickle_is_refused_with_the_json_to_name(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"refs(unc){suffix}"
    path.write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    line = refusal(READERS[name], path)
    assert "is a pickle" in line and ".json" in line


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_json_of_images_is_refused(name: str, tmp_path: Path) -> None:
    read = READERS[name]
    assert "There is no file" in refusal(read, tmp_path / "nowhere.json")
    for text, said in (
        ("{", "is not valid JSON"),
        ("[]", "holds a list"),
        ("{}", "has no list 'images'"),
        ('{"images": {}}', "has no list 'images'"),
        ('{"images": [3]}', "images[0] is a int, not an object"),
        ('{"images": []}', "has no list 'annotations'"),
        ('{"images": [{"file_name": "a"}]}', "images[0] has no 'id'"),
        ('{"images": [], "x": NaN}', "NaN is not a number"),
        ('{"images": [{"id": 1}, {"id": 1}]}', "images[1] has 'id' 1, not an id of its own"),
        ('{"images": [], "annotations": [{"image_id": 4}]}', "annotations[0] has 'image_id' 4, not the id of an image"),
        ("[" * 200_000, "nested too deeply"),
        ("\xff", "is not valid JSON"),
    ):
        path = tmp_path / "a.json"
        path.write_text(text, encoding="latin-1")
        assert said in refusal(read, path), text


def changed(values: Json, *keys: str | int, to: object) -> Json:
    """A copy with one value changed, or left out when `to` is ...."""
    copied = copy.deepcopy(values)
    place: Any = copied
    for key in keys[:-1]:
        place = place[key]
    if to is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    return copied


@pytest.mark.parametrize(
    ("keys", "to", "said"),
    [
        (("images", 1, "file_name"), ..., "images[1] has no 'file_name'"),
        (("images", 1, "file_name"), "../secret.jpg", "'../secret.jpg', not a path within the folder"),
        (("images", 1, "file_name"), "/etc/passwd", "not a path within the folder"),
        (("images", 1, "width"), ..., "images[1] has no 'width'"),
        (("images", 1, "height"), 0, "images[1] has 'height' 0, not a number of pixels"),
        (("images", 1, "height"), "tall", "'tall', not a number of pixels"),
        (("images", 1, "width"), True, "True, not a number of pixels"),
        (("annotations", 1, "bbox"), ..., "annotations[1] has no 'bbox'"),
        (("annotations", 1, "bbox"), [1, 2, 3], "annotations[1] has 'bbox' [1, 2, 3], not four finite numbers"),
        (("annotations", 1, "bbox"), [1, 2, 3, "4"], "not four finite numbers"),
        (("annotations", 1, "bbox"), [1, 2, 3, 10**400], "not four finite numbers"),
        (("annotations", 1, "bbox"), [1, 2, -3, 4], "with sides of at least 0"),
        (("annotations", 1, "bbox"), [200, 2, 3, 4], "[200, 2, 3, 4], not a box inside its image of 100 x 80 px"),
        (("annotations", 1, "bbox"), [1, -9, 3, 4], "not a box inside its image"),
        (("annotations", 1, "category_id"), ..., "annotations[1] has no 'category_id'"),
        (("annotations", 1, "category_id"), 55, "annotations[1] has 'category_id' 55, not the id of a category"),
        (("categories", 1, "id"), 90, "categories[1] has 'id' 90, not an id of its own"),
        (("categories", 1, "name"), " ", "categories[1] has 'name' ' ', not text"),
        (("categories", 1, "id"), 1.5, "categories[1] has 'id' 1.5, not an id"),
    ],
)
def test_a_bad_value_is_named_with_its_place(
    keys: tuple[str | int, ...], to: object, said: str, tmp_path: Path
) -> None:
    assert said in refusal(read_coco, write(tmp_path / "coco.json", changed(COCO, *keys, to=to)))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(number: str, tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(COCO).replace("[10, 20, 30, 40]", f"[10, 20, 30, {number}]"))
    assert "not" in refusal(read_coco, path)


@pytest.mark.parametrize(
    ("keys", "to", "said"),
    [
        (("images", 0, "neg_category_ids"), ..., "images[0] has no 'neg_category_ids'"),
        (("images", 0, "neg_category_ids"), [99], "[99], not ids of categories of this file"),
        (("images", 0, "not_exhaustive_category_ids"), 10, "10, not a list of ids"),
        (("images", 0, "coco_url"), ..., "images[0] has no 'file_name' (nor 'coco_url')"),
        (("categories", 0, "frequency"), ..., "categories[0] has no 'frequency'"),
        (("categories", 0, "frequency"), "often", "'often', not 'r', 'c' or 'f'"),
    ],
)
def test_what_lvis_needs_is_named_with_its_place(
    keys: tuple[str | int, ...], to: object, said: str, tmp_path: Path
) -> None:
    assert said in refusal(read_lvis, write(tmp_path / "lvis.json", changed(LVIS, *keys, to=to)))


@pytest.mark.parametrize(
    ("keys", "to", "said"),
    [
        (("images", 0, "caption"), ..., "images[0] has no 'caption'"),
        (("images", 0, "tokens_positive_eval"), ..., "images[0] has no 'tokens_positive_eval'"),
        (("images", 0, "tokens_positive_eval"), [[[0, 99]]], "not spans inside the 19 characters"),
        (("images", 0, "tokens_positive_eval"), [[]], "not lists of [start, end] characters"),
        (("images", 0, "tokens_positive_eval"), [[0, 7]], "not lists of [start, end] characters"),
        (("images", 0, "tokens_positive_eval"), 3, "3, not a list of phrases"),
        (("images", 0, "phrase_types"), [["people"]], "not a list of kinds for each of its 2 phrases"),
        (("annotations", 0, "tokens_positive"), ..., "annotations[0] has no 'tokens_positive'"),
        (("annotations", 0, "tokens_positive"), [[7, 0]], "not spans inside the 19 characters"),
    ],
)
def test_what_flickr_needs_is_named_with_its_place(
    keys: tuple[str | int, ...], to: object, said: str, tmp_path: Path
) -> None:
    assert said in refusal(read_flickr, write(tmp_path / "flickr.json", changed(FLICKR, *keys, to=to)))


VALUES: tuple[object, ...] = (None, True, -1, 1.5, 10**30, "a\n", [], {}, [[0, 1]], [None])


def places(values: Any, prefix: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The keys that lead to every value of a document."""
    if isinstance(values, dict):
        inner = [place for key, value in values.items() for place in places(value, (*prefix, key))]
    elif isinstance(values, list):
        inner = [place for index, value in enumerate(values) for place in places(value, (*prefix, index))]
    else:
        inner = []
    return [prefix, *inner] if prefix else inner


@pytest.mark.parametrize(
    ("read", "values"),
    [
        (read_coco, COCO),
        (read_lvis, LVIS),
        (read_flickr, FLICKR | {"images": [FLICKR["images"][0] | {"phrase_types": [["people"], ["animals"]]}]}),
        (read_refcoco, referring([[1.0, 2, 3, 4]])),
        (read_grefcoco, referring([[1.0, 2, 3, 4]], [])),
        (read_d3, D3 | {"groups": D3_GROUPS, "sentences": [{"id": i, "is_negative": False} for i in (1, 2, 3)]}),
    ],
)
def test_whatever_stands_anywhere_is_read_or_refused_in_one_line(
    read: Callable[[Path], Any], values: Json, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    read(write(path, values))
    for keys in places(values):
        for value in (..., *VALUES):
            write(path, changed(values, *keys, to=value))
            try:
                read(path)
            except LayoutRefused as error:
                assert "\n" not in str(error) and str(error).endswith("."), (keys, value)
