"""Category names are kept as people write them; ids and colours stay with them."""

import pytest

from annotations.categories import (
    PALETTE,
    add_category,
    delete_category,
    ensure_categories,
    recolour_category,
    rename_category,
    set_phrases,
    set_threshold,
)
from annotations.database import Store
from annotations.datasets import create_dataset, ensure_dataset
from annotations.errors import EditRefused, NotFound
from annotations.models import Annotation
from annotations.queries import categories, category_json, image_shapes
from tests.annotations.makers import make_scene, number

ODD_NAMES = ["${x}", "<script>alert(1)</script>", "yes", "no", "on", "null", "a/b", "😀", "Zebra (grevy's)", "x" * 100]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_text_on_one_line_is_a_name_and_is_kept_verbatim(store: Store, name: str) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        assert add_category(session, scene.dataset_id, f"  {name} ").name == name
    with store.reading() as session:
        shown = image_shapes(session, scene.image_id)["categories"][-1]
    assert (shown["name"], shown["phrases"]) == (name, [name])


@pytest.mark.parametrize(
    "name", ["", "   ", "two\nlines", "tab\there", "x" * 101, "x" * 300, "\x00", "a\u2028b", "\ud800"]
)
def test_names_that_do_not_fit_on_a_line_are_refused_in_one_line(store: Store, name: str) -> None:
    scene = make_scene(store)
    with pytest.raises(EditRefused) as refusal, store.writing() as session:
        add_category(session, scene.dataset_id, name)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 200
    with pytest.raises(EditRefused), store.writing() as session:
        create_dataset(session, name)


def test_categories_are_found_by_name_and_made_where_missing(store: Store) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        found = ensure_categories(session, scene.dataset_id, [("kangaroo", ["kangaroo", "wallaby"]), ("cat", [])])
        assert [category.coco_id for category in found] == [3, 1]
        assert found[1].id == scene.cat
    with store.writing() as session:
        again = ensure_categories(session, scene.dataset_id, [("kangaroo", []), ("kangaroo", [])])
        assert again[0] is again[1]
        assert category_json(again[0])["phrases"] == ["kangaroo", "wallaby"]
        ensure_categories(session, scene.dataset_id, [("kangaroo", ["joey"])])
        assert category_json(again[0])["phrases"] == ["joey"]


def test_one_bad_name_makes_none(store: Store) -> None:
    scene = make_scene(store)
    with pytest.raises(EditRefused), store.writing() as session:
        ensure_categories(session, scene.dataset_id, [("fine", []), ("not\nfine", [])])
    with store.reading() as session:
        assert [category.name for category in categories(session, scene.dataset_id)] == ["cat", "dog"]


def test_coco_ids_are_never_given_twice(store: Store) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        first = add_category(session, scene.dataset_id, "fox")
        delete_category(session, first.id)
        assert add_category(session, scene.dataset_id, "fox").coco_id == first.coco_id + 1
        assert add_category(session, scene.dataset_id, "owl", coco_id=90).coco_id == 90
        assert add_category(session, scene.dataset_id, "elk").coco_id == 91
        with pytest.raises(EditRefused, match="90 is taken"):
            add_category(session, scene.dataset_id, "ant", coco_id=90)


def test_a_slip_in_a_name_is_mended_for_the_detector_too(store: Store) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        slip, told = ensure_categories(session, scene.dataset_id, [("Kangaro", ["kangaro"]), ("RBC", ["red cell"])])
        rename_category(session, slip.id, "Kangaroo")
        rename_category(session, told.id, "erythrocyte")
        assert category_json(slip)["phrases"] == ["Kangaroo"]
        assert category_json(told)["phrases"] == ["red cell"]


def test_categories_are_renamed_recoloured_and_given_thresholds(store: Store) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        rename_category(session, scene.cat, "tom cat")
        recolour_category(session, scene.cat, "#ABCDEF")
        set_threshold(session, scene.cat, 0.25)
        set_phrases(session, scene.cat, ["tom", "cat"])
    with store.reading() as session:
        shown = category_json(categories(session, scene.dataset_id)[0])
    assert shown == {
        "id": scene.cat,
        "name": "tom cat",
        "color": "#abcdef",
        "phrases": ["tom", "cat"],
        "threshold": 0.25,
        "coco_id": 1,
    }


def test_impossible_changes_are_refused(store: Store) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        with pytest.raises(EditRefused, match="already is a category 'dog'"):
            rename_category(session, scene.cat, "dog")
        with pytest.raises(EditRefused, match="already is a category 'dog'"):
            add_category(session, scene.dataset_id, "dog")
        with pytest.raises(EditRefused, match="not a colour"):
            recolour_category(session, scene.cat, "red; background: url(x)")
        with pytest.raises(EditRefused, match="between 0 and 1"):
            set_threshold(session, scene.cat, float("nan"))
        with pytest.raises(EditRefused, match="at least one phrase"):
            set_phrases(session, scene.cat, [])
        with pytest.raises(NotFound):
            rename_category(session, 99, "x")
        with pytest.raises(NotFound):
            add_category(session, 99, "x")


def test_a_category_in_use_cannot_be_deleted(store: Store) -> None:
    scene = make_scene(store)
    with store.writing() as session:
        session.add(
            Annotation(
                id=number(1),
                image_id=scene.image_id,
                category_id=scene.cat,
                x1=1,
                y1=1,
                x2=9,
                y2=9,
                source="person",
                created_by="ada",
            )
        )
        session.flush()
        with pytest.raises(EditRefused, match="'cat' is used by 1 annotations"):
            delete_category(session, scene.cat)
        delete_category(session, scene.dog)
    with store.reading() as session:
        assert [category.name for category in categories(session, scene.dataset_id)] == ["cat"]


def test_colours_of_the_palette_differ() -> None:
    assert len(set(PALETTE)) == len(PALETTE) == 24


def test_a_dataset_is_made_once(store: Store) -> None:
    with store.writing() as session:
        first = ensure_dataset(session, "cells")
        assert ensure_dataset(session, " cells ").id == first.id
        with pytest.raises(EditRefused, match="already is a dataset"):
            create_dataset(session, "cells")
