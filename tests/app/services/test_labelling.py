from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import supervision as sv
from PIL import Image

from annotations.edits import Edit, apply_edit
from annotations.queries import categories, dataset_by_id, image_shapes, images_page
from app.services import Services
from app.services.jobs import Job
from app.services.labelling import FLOOR, without_doubles
from common.images import ImageRefused
from common.masks import decode_mask
from engine.ontology import Ontology

pytestmark = pytest.mark.slow

CATS_AND_DOGS = Ontology.from_prompt("cat. dog.")


def label(services: Services, dataset_id: int, images: list[int] | None = None, masks: bool = False) -> Job:
    job = Job(uuid4())
    services.labeller.run(dataset_id, CATS_AND_DOGS, images, job, masks=masks)
    return job


def image_ids(services: Services, dataset_id: int) -> list[int]:
    with services.store.reading() as session:
        return [row.id for row in images_page(session, dataset_id).items]


def test_all_images_get_predictions_and_a_broken_one_is_skipped_with_its_reason(
    services: Services, dataset_id: int
) -> None:
    job = label(services, dataset_id)
    assert (job.state.done, job.state.total) == (4, 4)
    assert [what for what, _ in job.state.skipped] == ["3.png"]
    assert "damaged or incomplete" in job.state.skipped[0][1]
    with services.store.reading() as session:
        shapes = image_shapes(session, image_ids(services, dataset_id)[0])
        assert dataset_by_id(session, dataset_id).prompt == "cat. dog."
        assert [row.name for row in categories(session, dataset_id)] == ["cat", "dog"]
    assert shapes["predictions"]
    assert all(row["score"] >= FLOOR and row["prompt"] == "cat. dog." for row in shapes["predictions"])
    assert shapes["annotations"] == []


def test_labelling_again_replaces_predictions_and_leaves_a_persons_work_alone(
    services: Services, dataset_id: int
) -> None:
    first = image_ids(services, dataset_id)[0]
    label(services, dataset_id, [first])
    with services.store.writing() as session:
        category_id = categories(session, dataset_id)[0].id
        item = {"id": str(uuid4()), "category_id": category_id, "xyxy": [10, 10, 60, 50], "mask": None}
        apply_edit(session, Edit(uuid4(), "create", first, "ada", (item,)))
        before = image_shapes(session, first)
    label(services, dataset_id, [first])
    with services.store.reading() as session:
        after = image_shapes(session, first)
    assert after["annotations"] == before["annotations"]
    assert len(after["predictions"]) <= len(before["predictions"])


def test_masks_come_with_the_predictions_when_asked_for(services: Services, dataset_id: int) -> None:
    first = image_ids(services, dataset_id)[0]
    label(services, dataset_id, [first], masks=True)
    with services.store.reading() as session:
        predictions = image_shapes(session, first)["predictions"]
    assert predictions
    assert decode_mask(predictions[0]["mask"]).shape == (90, 120)


def test_a_job_that_is_stopped_keeps_what_is_done(services: Services, dataset_id: int) -> None:
    class StopsAfterOne(Job):
        def image_done(self, image_id: int, detections: int) -> None:
            super().image_done(image_id, detections)
            self.stop()

    job = StopsAfterOne(uuid4())
    services.labeller.run(dataset_id, CATS_AND_DOGS, None, job, batch=1)
    assert len(job.state.images) == 1
    with services.store.reading() as session:
        pending = [row.pending for row in images_page(session, dataset_id).items]
    assert pending[0] > 0
    assert pending[1:] == [0, 0, 0]


def test_a_click_gives_one_mask_and_a_box_each_its_own(services: Services, dataset_id: int) -> None:
    first = image_ids(services, dataset_id)[0]
    (mask,) = services.labeller.segment(first, None, [(60, 45)], [1])
    assert mask["size"] == [90, 120]
    assert len(services.labeller.segment(first, [(10, 10, 50, 50), (60, 20, 110, 80)], None, None)) == 2


def test_of_doubles_the_best_stays_and_another_category_is_no_double() -> None:
    found = sv.Detections(
        xyxy=np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10]], np.float32),  # the first two overlap by 0.9
        confidence=np.array([0.4, 0.6, 0.5], np.float32),
        class_id=np.array([0, 0, 1]),
    )
    kept = without_doubles(found)
    assert kept.confidence is not None
    assert sorted(kept.confidence.tolist()) == pytest.approx([0.5, 0.6])


def test_a_picture_that_was_replaced_by_one_of_another_size_is_skipped(
    services: Services, dataset_id: int, tmp_path: Path
) -> None:
    Image.new("RGB", (60, 90)).save(tmp_path / "photos" / "0.png")
    first = image_ids(services, dataset_id)[0]
    job = label(services, dataset_id, [first])
    (skipped,) = job.state.skipped
    assert "is now 60 x 90 px, but was 120 x 90 px" in skipped[1]
    with services.store.reading() as session:
        assert image_shapes(session, first)["predictions"] == []
    with pytest.raises(ImageRefused, match="is now 60 x 90 px"):
        services.labeller.segment(first, [[10, 10, 50, 50]], None, None)
