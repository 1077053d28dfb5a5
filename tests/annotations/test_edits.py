"""An edit is applied once, logged, and can be taken back."""

from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import select

from annotations.database import Store
from annotations.edits import Edit, EditResult, apply_edit
from annotations.errors import EditRefused, NotFound
from annotations.models import Annotation, Category, EditLog, Image
from annotations.predictions import NewPrediction, save_predictions
from annotations.queries import image_shapes
from common.masks import encode_mask
from tests.annotations.makers import Scene, make_image, make_scene, number


@pytest.fixture
def scene(store: Store) -> Scene:
    return make_scene(store)


def send(store: Store, scene: Scene, kind: Any, *items: Mapping[str, Any], who: str = "ada") -> EditResult:
    with store.writing() as session:
        return apply_edit(session, Edit(uuid4(), kind, scene.image_id, who, items))


def shapes(store: Store, scene: Scene) -> dict[str, Any]:
    with store.reading() as session:
        return image_shapes(session, scene.image_id)


def annotations(store: Store, scene: Scene) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], shapes(store, scene)["annotations"])


def box(scene: Scene, annotation_id: int, *xyxy: float, **more: Any) -> dict[str, Any]:
    return {"id": number(annotation_id), "category_id": scene.cat, "xyxy": xyxy or (10, 20, 30, 40), **more}


def square_mask(x1: int, y1: int, x2: int, y2: int) -> Any:
    mask = np.zeros((80, 100), bool)
    mask[y1:y2, x1:x2] = True
    return encode_mask(mask)


def test_a_drawn_box_is_there_with_who_drew_it(store: Store, scene: Scene) -> None:
    result = send(store, scene, "create", box(scene, 1, 10, 20, 30.5, 40))
    assert (result.revision, result.already_applied, result.skipped) == (1, False, 0)
    assert annotations(store, scene) == [
        {
            "id": str(number(1)),
            "category_id": scene.cat,
            "xyxy": [10, 20, 30.5, 40],
            "mask": None,
            "source": "person",
            "score": None,
            "checkpoint": None,
            "prompt": None,
            "created_by": "ada",
            "updated_by": None,
        }
    ]


def test_the_same_edit_sent_twice_is_applied_once_and_answered_alike(store: Store, scene: Scene) -> None:
    edit = Edit(uuid4(), "create", scene.image_id, "ada", (box(scene, 1),))
    with store.writing() as session:
        first = apply_edit(session, edit)
    send(store, scene, "create", box(scene, 2))
    with store.writing() as session:
        second = apply_edit(session, edit)
    assert (second.seq, second.revision, second.skipped) == (first.seq, first.revision, first.skipped)
    assert (first.already_applied, second.already_applied) == (False, True)
    assert len(annotations(store, scene)) == 2


def test_an_operation_id_cannot_be_used_for_two_edits(store: Store, scene: Scene) -> None:
    op_id = uuid4()
    with store.writing() as session:
        apply_edit(session, Edit(op_id, "create", scene.image_id, "ada", (box(scene, 1),)))
    with pytest.raises(EditRefused, match="belongs to another edit"), store.writing() as session:
        apply_edit(session, Edit(op_id, "delete", scene.image_id, "ada", ({"id": number(1)},)))


def test_boxes_are_cut_at_the_edges_of_the_image(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1, -5, -5, 500, 40))
    assert annotations(store, scene)[0]["xyxy"] == [0, 0, 100, 40]


@pytest.mark.parametrize("xyxy", [(10, 10, 10.9, 30), (30, 10, 10, 30), (200, 10, 300, 30), (-9, -9, 0.5, 30)])
def test_a_box_with_less_than_a_pixel_on_the_image_is_refused(
    store: Store, scene: Scene, xyxy: tuple[float, ...]
) -> None:
    with pytest.raises(EditRefused, match="less than 1 px"):
        send(store, scene, "create", box(scene, 1, *xyxy))
    assert annotations(store, scene) == []


def test_an_edit_with_one_bad_item_changes_nothing(store: Store, scene: Scene) -> None:
    with pytest.raises(EditRefused):
        send(store, scene, "create", box(scene, 1), box(scene, 2, 5, 5, 5, 5))
    assert shapes(store, scene)["annotations"] == []
    assert shapes(store, scene)["image"]["revision"] == 0


def test_a_box_can_be_relabelled_and_says_who_did(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1))
    send(store, scene, "update", {"id": number(1), "category_id": scene.dog}, who="bob")
    row = annotations(store, scene)[0]
    assert (row["category_id"], row["created_by"], row["updated_by"]) == (scene.dog, "ada", "bob")


def test_a_moved_box_takes_its_mask_along(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1, 10, 20, 30, 40, mask=square_mask(10, 20, 30, 40)))
    send(store, scene, "update", {"id": number(1), "xyxy": [15, 10, 35, 30]})
    assert annotations(store, scene)[0]["mask"] == square_mask(15, 10, 35, 30)


def test_a_mask_moved_over_the_edge_is_cut_there(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1, 10, 20, 30, 40, mask=square_mask(10, 20, 30, 40)))
    send(store, scene, "update", {"id": number(1), "xyxy": [90, 20, 110, 40]})
    row = annotations(store, scene)[0]
    assert (row["xyxy"], row["mask"]) == ([90, 20, 100, 40], square_mask(90, 20, 100, 40))


def test_a_resized_box_drops_its_mask_unless_a_new_one_comes_along(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1, 10, 20, 30, 40, mask=square_mask(10, 20, 30, 40)))
    new = square_mask(10, 20, 25, 40)
    send(store, scene, "update", {"id": number(1), "xyxy": [10, 20, 25, 40], "mask": new})
    assert annotations(store, scene)[0]["mask"] == new
    send(store, scene, "update", {"id": number(1), "xyxy": [10, 20, 24, 40]})
    assert annotations(store, scene)[0]["mask"] is None


def test_relabelling_keeps_the_mask(store: Store, scene: Scene) -> None:
    mask = square_mask(10, 20, 30, 40)
    send(store, scene, "create", box(scene, 1, mask=mask))
    send(store, scene, "update", {"id": number(1), "category_id": scene.dog})
    assert annotations(store, scene)[0]["mask"] == mask


def test_what_is_gone_already_is_skipped_and_counted(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1))
    assert send(store, scene, "delete", {"id": number(1)}, {"id": number(2)}).skipped == 1
    assert send(store, scene, "update", {"id": number(1), "category_id": scene.dog}).skipped == 1


def predict(store: Store, scene: Scene, *rows: NewPrediction) -> list[dict[str, Any]]:
    with store.writing() as session:
        save_predictions(session, scene.image_id, rows, checkpoint="tiny-1", prompt="cat. dog.")
    return cast(list[dict[str, Any]], shapes(store, scene)["predictions"])


def test_an_accepted_prediction_becomes_an_annotation_that_remembers_its_model(store: Store, scene: Scene) -> None:
    mask = square_mask(10, 20, 30, 40)
    waiting = predict(store, scene, NewPrediction(scene.cat, (10, 20, 30, 40), 0.75, mask))
    send(store, scene, "accept", {"prediction_id": waiting[0]["id"], "annotation_id": number(1)})
    row = annotations(store, scene)[0]
    assert (row["source"], row["checkpoint"], row["prompt"], row["score"]) == ("model", "tiny-1", "cat. dog.", 0.75)
    assert (row["xyxy"], row["mask"], row["created_by"]) == ([10, 20, 30, 40], mask, "ada")
    assert shapes(store, scene)["predictions"] == []


def test_an_accepted_prediction_corrected_by_a_person_still_tells_where_it_came_from(
    store: Store, scene: Scene
) -> None:
    waiting = predict(store, scene, NewPrediction(scene.cat, (10, 20, 30, 40), 0.75))
    send(store, scene, "accept", {"prediction_id": waiting[0]["id"], "annotation_id": number(1)})
    send(store, scene, "update", {"id": number(1), "xyxy": [10, 20, 32, 40]}, who="bob")
    row = annotations(store, scene)[0]
    assert (row["source"], row["checkpoint"], row["updated_by"]) == ("model", "tiny-1", "bob")


def test_a_prediction_is_accepted_or_rejected_once(store: Store, scene: Scene) -> None:
    waiting = predict(store, scene, NewPrediction(scene.cat, (10, 20, 30, 40), 0.75))
    item = {"prediction_id": waiting[0]["id"]}
    assert send(store, scene, "reject", item).skipped == 0
    assert send(store, scene, "accept", {**item, "annotation_id": number(1)}).skipped == 1
    assert annotations(store, scene) == []


def test_undo_and_redo_walk_back_and_forth_across_a_restart(store: Store, scene: Scene) -> None:
    waiting = predict(store, scene, NewPrediction(scene.cat, (50, 50, 70, 70), 0.75))
    states = [shapes(store, scene)]
    for kind, item in (
        ("create", box(scene, 1, mask=square_mask(10, 20, 30, 40))),
        ("update", {"id": number(1), "xyxy": [15, 25, 35, 45]}),
        ("accept", {"prediction_id": waiting[0]["id"], "annotation_id": number(2)}),
        ("delete", {"id": number(2)}),
        ("mark", {"done": True}),
    ):
        send(store, scene, kind, item)
        states.append(shapes(store, scene))

    def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
        def strip(value: dict[str, Any]) -> Any:
            return value["annotations"], value["predictions"], value["image"]["done"]

        return bool(strip(found) == strip(wanted))

    with Store.open(str(store.url.database)) as reopened:
        for wanted in reversed(states[:-1]):
            send(reopened, scene, "undo")
            assert same(shapes(reopened, scene), wanted)
        assert shapes(reopened, scene)["can_undo"] is False
        with pytest.raises(EditRefused, match="nothing to undo"):
            send(reopened, scene, "undo")
        for wanted in states[1:]:
            send(reopened, scene, "redo")
            assert same(shapes(reopened, scene), wanted)
        assert shapes(reopened, scene)["can_redo"] is False


def test_a_new_edit_after_an_undo_makes_redo_impossible(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1))
    send(store, scene, "undo")
    send(store, scene, "create", box(scene, 2))
    with pytest.raises(EditRefused, match="nothing to redo"):
        send(store, scene, "redo")


def test_each_person_undoes_only_what_they_did(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1), who="ada")
    send(store, scene, "create", box(scene, 2), who="bob")
    send(store, scene, "undo", who="ada")
    assert [row["id"] for row in annotations(store, scene)] == [str(number(2))]


def test_undo_leaves_alone_what_somebody_else_changed_since(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1), box(scene, 2), who="ada")
    send(store, scene, "update", {"id": number(1), "category_id": scene.dog}, who="bob")
    assert send(store, scene, "undo", who="ada").skipped == 1
    assert [(row["id"], row["category_id"]) for row in annotations(store, scene)] == [(str(number(1)), scene.dog)]


def test_undo_does_not_bring_back_a_box_of_a_deleted_category(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1))
    send(store, scene, "delete", {"id": number(1)})
    with store.writing() as session:
        session.delete(session.get_one(Category, scene.cat))
    assert send(store, scene, "undo").skipped == 1
    assert annotations(store, scene) == []


def test_redoing_an_accept_works_after_newer_predictions_replaced_the_old(store: Store, scene: Scene) -> None:
    waiting = predict(store, scene, NewPrediction(scene.cat, (10, 20, 30, 40), 0.75))
    send(store, scene, "accept", {"prediction_id": waiting[0]["id"], "annotation_id": number(1)})
    send(store, scene, "undo")
    predict(store, scene, NewPrediction(scene.cat, (10, 20, 30, 40), 0.5))
    assert send(store, scene, "redo").skipped == 1  # the prediction; the annotation is back
    assert [row["score"] for row in annotations(store, scene)] == [0.75]
    send(store, scene, "undo")
    assert annotations(store, scene) == []


def test_the_log_tells_who_changed_what_from_what_to_what(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1))
    send(store, scene, "update", {"id": number(1), "category_id": scene.dog}, who="bob")
    with store.reading() as session:
        create, update = session.scalars(select(EditLog).order_by(EditLog.seq))
        key = str(number(1))
        assert (create.who, create.kind, create.before["annotations"]) == ("ada", "create", {key: None})
        assert (update.who, update.kind, update.revision) == ("bob", "update", 2)
        assert update.before["annotations"][key]["category_id"] == scene.cat
        assert update.after["annotations"][key]["category_id"] == scene.dog


def test_rows_of_other_images_and_datasets_cannot_be_touched(store: Store, scene: Scene) -> None:
    other = make_scene(store, "others")
    send(store, scene, "create", box(scene, 1))
    waiting = predict(store, scene, NewPrediction(scene.cat, (50, 50, 70, 70), 0.75))
    for kind, item in (
        ("create", box(other, 1)),
        ("update", {"id": number(1), "category_id": other.dog}),
        ("delete", {"id": number(1)}),
        ("reject", {"prediction_id": waiting[0]["id"]}),
    ):
        with pytest.raises(EditRefused, match="is not on image"):
            send(store, other, kind, item)
    with pytest.raises(EditRefused, match="is not in this dataset"):
        send(store, scene, "create", box(other, 3))
    with pytest.raises(NotFound, match="no image 999"), store.writing() as session:
        apply_edit(session, Edit(uuid4(), "undo", 999, "ada"))


def test_2000_boxes_go_in_and_out_as_one_edit(store: Store, scene: Scene) -> None:
    items = [box(scene, n, n % 90, n % 70, n % 90 + 5, n % 70 + 5) for n in range(1, 2001)]
    send(store, scene, "create", *items)
    assert len(annotations(store, scene)) == 2000
    send(store, scene, "delete", *({"id": item["id"]} for item in items))
    send(store, scene, "undo")
    assert len(annotations(store, scene)) == 2000


def test_a_mask_of_another_size_is_refused(store: Store, scene: Scene) -> None:
    with pytest.raises(EditRefused, match=r"size \[4, 5\] is not the image's \[80, 100\]"):
        send(store, scene, "create", box(scene, 1, mask=encode_mask(np.ones((4, 5), bool))))


def test_marking_an_image_done_is_logged_and_seen(store: Store, scene: Scene) -> None:
    send(store, scene, "mark", {"done": True})
    assert shapes(store, scene)["image"]["done"] is True
    send(store, scene, "mark", {"done": False})
    assert shapes(store, scene)["image"]["done"] is False
    with store.reading() as session:
        assert [entry.kind for entry in session.scalars(select(EditLog))] == ["mark", "mark"]


def test_a_models_predictions_never_change_an_annotation(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1, 10, 20, 30, 40), box(scene, 2, 50, 50, 70, 70))

    def rows() -> list[dict[str, Any]]:
        with store.reading() as session:
            found = session.scalars(select(Annotation).order_by(Annotation.id))
            return [{column.name: getattr(row, column.name) for column in row.__table__.columns} for row in found]

    before = rows()
    for score in (0.2, 0.9):
        predict(
            store,
            scene,
            NewPrediction(scene.cat, (10, 20, 30, 40), score),
            NewPrediction(scene.dog, (10, 20, 30, 40), score),
        )
    assert rows() == before
    with store.reading() as session:
        assert session.get_one(Image, scene.image_id).revision == 1


def test_a_prediction_cannot_be_accepted_onto_an_annotation_that_is_there(store: Store, scene: Scene) -> None:
    send(store, scene, "create", box(scene, 1))
    waiting = predict(store, scene, NewPrediction(scene.dog, (50, 50, 70, 70), 0.9))
    with pytest.raises(EditRefused, match="There already is an annotation"):
        send(store, scene, "accept", {"prediction_id": waiting[0]["id"], "annotation_id": number(1)})
    assert annotations(store, scene)[0]["category_id"] == scene.cat


def test_edits_of_one_image_leave_the_others_alone(store: Store, scene: Scene) -> None:
    with store.writing() as session:
        second = make_image(session, scene.dataset_id, 1).id
    send(store, scene, "create", box(scene, 1))
    with store.reading() as session:
        assert image_shapes(session, second)["can_undo"] is False
