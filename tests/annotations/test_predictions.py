"""Predictions wait for a person, and never take an annotation's place."""

from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import select

from annotations.database import Store
from annotations.edits import Edit, apply_edit
from annotations.errors import EditRefused, NotFound
from annotations.models import Annotation, Prediction
from annotations.predictions import NewPrediction, accept_above, save_predictions
from annotations.queries import image_shapes
from common.masks import encode_mask
from tests.annotations.makers import Scene, make_image, make_scene, number


@pytest.fixture
def scene(store: Store) -> Scene:
    return make_scene(store)


def save(store: Store, image_id: int, *rows: NewPrediction, checkpoint: str = "tiny") -> int:
    with store.writing() as session:
        return save_predictions(session, image_id, rows, checkpoint=checkpoint, prompt="cat.")


def states(store: Store) -> list[tuple[str, str]]:
    with store.reading() as session:
        return [(row.checkpoint, row.state) for row in session.scalars(select(Prediction).order_by(Prediction.id))]


def draw(store: Store, scene: Scene, *xyxy: float) -> None:
    item = {"id": number(1), "category_id": scene.cat, "xyxy": xyxy}
    with store.writing() as session:
        apply_edit(session, Edit(uuid4(), "create", scene.image_id, "ada", (item,)))


def test_new_predictions_replace_those_that_wait(store: Store, scene: Scene) -> None:
    save(store, scene.image_id, NewPrediction(scene.cat, (10, 10, 20, 20), 0.5), checkpoint="old")
    assert save(store, scene.image_id, NewPrediction(scene.cat, (10, 10, 20, 20), 0.5), checkpoint="new") == 1
    assert states(store) == [("new", "pending")]


def test_a_prediction_over_an_annotation_of_its_category_is_covered(store: Store, scene: Scene) -> None:
    draw(store, scene, 10, 10, 20, 20)
    # Overlap 80 px2 of 100: IoU 0.8. The dog lies on the same spot but is another category.
    waiting = save(
        store,
        scene.image_id,
        NewPrediction(scene.cat, (10, 10, 20, 18), 0.5),
        NewPrediction(scene.dog, (10, 10, 20, 20), 0.5),
        NewPrediction(scene.cat, (10, 10, 20, 16), 0.5),  # IoU 0.6
    )
    assert waiting == 2
    assert [state for _, state in states(store)] == ["covered", "pending", "pending"]


def test_a_rejected_prediction_stays_rejected_when_the_model_proposes_it_again(store: Store, scene: Scene) -> None:
    save(store, scene.image_id, NewPrediction(scene.cat, (10, 10, 20, 20), 0.5))
    with store.writing() as session:
        prediction_id = session.scalars(select(Prediction.id)).one()
        apply_edit(session, Edit(uuid4(), "reject", scene.image_id, "ada", ({"prediction_id": prediction_id},)))
    waiting = save(
        store,
        scene.image_id,
        NewPrediction(scene.cat, (10, 10, 20, 19.5), 0.6),  # IoU 0.95
        NewPrediction(scene.cat, (10, 10, 20, 18), 0.6),  # IoU 0.8: another box
        checkpoint="again",
    )
    assert waiting == 1
    assert states(store) == [("tiny", "rejected"), ("again", "pending")]


def test_accepted_predictions_are_kept_when_new_ones_come(store: Store, scene: Scene) -> None:
    save(store, scene.image_id, NewPrediction(scene.cat, (10, 10, 20, 20), 0.5))
    with store.writing() as session:
        assert accept_above(session, scene.dataset_id, 0.5, "ada") == 1
    assert save(store, scene.image_id, NewPrediction(scene.cat, (10, 10, 20, 20), 0.9)) == 0
    assert [state for _, state in states(store)] == ["accepted", "covered"]


def test_accepting_above_a_threshold_goes_through_the_log_of_each_image(store: Store, scene: Scene) -> None:
    with store.writing() as session:
        second = make_image(session, scene.dataset_id, 1).id
    for image_id in (scene.image_id, second):
        rows = [NewPrediction(scene.cat, (10 * n, 10, 10 * n + 9, 20), n / 8) for n in range(8)]
        save(store, image_id, *rows)
    with store.writing() as session:
        assert accept_above(session, scene.dataset_id, 0.75, "ada") == 4  # 6/8 and 7/8 on each image
    with store.reading() as session:
        assert [row.score for row in session.scalars(select(Annotation).order_by(Annotation.id))].count(0.75) == 2
        assert image_shapes(session, second)["can_undo"] is True
        assert len(image_shapes(session, second)["predictions"]) == 6


def test_boxes_are_cut_to_the_image_and_slivers_dropped(store: Store, scene: Scene) -> None:
    assert save(store, scene.image_id, NewPrediction(scene.cat, (90, 70, 130, 90), 0.5)) == 1
    assert save(store, scene.image_id, NewPrediction(scene.cat, (99.5, 70, 130, 90), 0.5)) == 0


def test_float32_values_of_a_detector_are_taken_as_they_are(store: Store, scene: Scene) -> None:
    xyxy = tuple(np.array([10.1, 10.2, 20.3, 20.4], np.float32))
    save(store, scene.image_id, NewPrediction(scene.cat, xyxy, np.float32(0.25)))  # type: ignore[arg-type]
    with store.reading() as session:
        found = image_shapes(session, scene.image_id)["predictions"][0]
    assert (found["xyxy"], found["score"]) == ([10.1, 10.2, 20.3, 20.4], 0.25)


def test_impossible_predictions_are_refused(store: Store, scene: Scene) -> None:
    with pytest.raises(ValueError, match="score"):
        NewPrediction(scene.cat, (1, 2, 30, 40), 1.5)
    with pytest.raises(ValueError, match="finite"):
        NewPrediction(scene.cat, (1, 2, float("nan"), 40), 0.5)
    with pytest.raises(EditRefused, match="Category 99"):
        save(store, scene.image_id, NewPrediction(99, (1, 2, 30, 40), 0.5))
    with pytest.raises(EditRefused, match="size"):
        save(store, scene.image_id, NewPrediction(scene.cat, (1, 2, 30, 40), 0.5, encode_mask(np.ones((3, 3), bool))))
    with pytest.raises(NotFound):
        save(store, 99, NewPrediction(scene.cat, (1, 2, 30, 40), 0.5))
