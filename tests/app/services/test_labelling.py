import shutil
import time
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import torch
from PIL import Image
from sqlalchemy import select

from annotations.categories import add_category, delete_category
from annotations.edits import Edit, apply_edit
from annotations.importers import import_path
from annotations.models import Look
from annotations.queries import categories, dataset_by_id, dataset_by_name, image_by_id, image_shapes, images_page
from app.services import Services
from app.services.jobs import Job
from app.services.labelling import WHOLE, Method
from app.services.questions import FLOOR, Question, answers, question
from app.services.turns import Urgency
from common.boxes import clip
from common.images import ImageRefused, read_image
from common.masks import decode_mask
from engine.checkpoints import load_grounding_detector, save_detector
from engine.grounding import GroundingDetector

pytestmark = pytest.mark.slow

CATS_AND_DOGS = question("detect", "cat. dog.")


def label(services: Services, dataset_id: int, images: list[int] | None = None, masks: bool = False) -> Job:
    job = Job(uuid4())
    services.labeller.run(dataset_id, CATS_AND_DOGS, images, job, method=Method(masks=masks))
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


def test_a_job_that_is_stopped_keeps_what_is_done_and_goes_on_from_there(services: Services, dataset_id: int) -> None:
    class StopsAfterOne(Job):
        def image_done(self, image_id: int, detections: int) -> None:
            super().image_done(image_id, detections)
            self.stop()

    ids = image_ids(services, dataset_id)
    job = StopsAfterOne(uuid4())
    services.labeller.run(dataset_id, CATS_AND_DOGS, None, job, batch=1)
    first = job.state.images
    assert first == tuple(ids[: len(first)])  # in order; one more may have been under way
    assert 1 <= len(first) <= 3
    with services.store.reading() as session:
        pending = [row.pending for row in images_page(session, dataset_id).items]
    assert all(pending[: len(first)])
    assert not any(pending[len(first) :])
    rest = Job(uuid4())
    result = services.labeller.run(dataset_id, CATS_AND_DOGS, None, rest)
    assert result["already"] == len(first)
    assert result["images"] == rest.state.done == 4
    assert rest.state.images == tuple(ids[len(first) : 3])


def test_the_same_is_not_asked_twice_unless_somebody_wants_that(services: Services, dataset_id: int) -> None:
    ids = image_ids(services, dataset_id)
    first = label(services, dataset_id)
    again = label(services, dataset_id)
    assert again.state.images == ()
    assert again.state.detections == first.state.detections
    assert [what for what, _ in again.state.skipped] == ["3.png"]  # what could not be read is tried again
    assert label(services, dataset_id, ids[:2]).state.images == tuple(ids[:2])  # named by hand
    forced = Job(uuid4())
    services.labeller.run(dataset_id, CATS_AND_DOGS, None, forced, again=True)
    assert forced.state.images == tuple(ids[:3])


@pytest.mark.parametrize("change", ["words", "masks", "task", "category", "weights"])
def test_another_question_is_asked_of_every_image(
    services: Services, dataset_id: int, change: str, tmp_path: Path, tiny_detector: Path
) -> None:
    ids = image_ids(services, dataset_id)
    services.labeller.run(dataset_id, question("detect", "cat."), None, Job(uuid4()))
    other, masks = question("detect", "cat."), change == "masks"
    if change == "words":
        other = question("detect", "cat. dog.")
    if change == "task":
        other = question("ground", "cat")
    if change == "category":
        with services.store.writing() as session:
            (category,) = categories(session, dataset_id)
            delete_category(session, category.id)
    if change == "weights":
        taught = tmp_path / tiny_detector.name
        shutil.copytree(tiny_detector, taught)
        detector = load_grounding_detector(taught)
        torch.nn.init.constant_(detector.model.class_embed[0].bias, -1.0)
        save_detector(detector, taught)
        services.models._asked = str(taught)
    job = Job(uuid4())
    services.labeller.run(dataset_id, other, None, job, method=Method(masks=masks))
    assert job.state.images == tuple(ids[:3])


def test_images_that_were_resized_ahead_have_the_same_boxes(services: Services, dataset_id: int) -> None:
    first = image_ids(services, dataset_id)[0]
    label(services, dataset_id, [first])
    with services.store.reading() as session:
        ahead = image_shapes(session, first)["predictions"]
        image = image_by_id(session, first)
    (whole,) = answers(services.models.detector(), [read_image(Path(image.path))], CATS_AND_DOGS)
    assert whole.confidence is not None
    boxes = whole.xyxy[(-whole.confidence).argsort(kind="stable")].astype(np.float32)
    shown = np.array([row["xyxy"] for row in ahead], np.float32)
    np.testing.assert_allclose(shown, clip(boxes, image.width, image.height), atol=1e-3)


def test_many_images_of_many_shapes_are_read_ahead_and_stored_in_order(
    services: Services, tmp_path: Path, tiny_detector: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for index in range(11):
        size = ((90, 120, 3), (120, 90, 3), (64, 64, 3))[index % 3]
        Image.fromarray(rng.integers(0, 255, size, np.uint8)).save(folder / f"{index:02}.png")
    import_path(services.store, "many", folder)
    with services.store.reading() as session:
        many = dataset_by_name(session, "many").id
    job = Job(uuid4())
    services.labeller.run(many, CATS_AND_DOGS, None, job, batch=3)
    assert list(job.state.images) == image_ids(services, many)
    with services.store.reading() as session:
        assert list(session.scalars(select(Look.image_id).order_by(Look.at))) == image_ids(services, many)


def test_a_click_gives_one_mask_and_a_box_each_its_own(services: Services, dataset_id: int) -> None:
    first = image_ids(services, dataset_id)[0]
    (mask,) = services.outliner.segment(first, None, [(60, 45)], [1])
    assert mask["size"] == [90, 120]
    assert len(services.outliner.segment(first, [(10, 10, 50, 50), (60, 20, 110, 80)], None, None)) == 2


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
        services.outliner.segment(first, [[10, 10, 50, 50]], None, None)


def ask(services: Services, dataset_id: int, asked: Question) -> dict[str, list[str]]:
    """The names of what waits on the first image, and of all categories, after a search with every score kept."""
    first = image_ids(services, dataset_id)[0]
    services.labeller.run(dataset_id, asked, [first], Job(uuid4()))
    with services.store.reading() as session:
        rows = categories(session, dataset_id)
        names = {row.id: row.name for row in rows}
        found = [names[row["category_id"]] for row in image_shapes(session, first)["predictions"]]
        return {"found": found, "categories": [row.name for row in rows]}


def test_a_sentence_finds_each_of_its_phrases_under_its_own_name(services: Services, dataset_id: int) -> None:
    with services.store.writing() as session:
        add_category(session, dataset_id, "CAT")
    answer = ask(services, dataset_id, question("ground", "A cat left of two red balls, and a cat."))
    assert answer["categories"] == ["CAT", "red balls"]
    assert set(answer["found"]) <= {"CAT", "red balls"}
    assert answer["found"]


def test_a_plural_of_a_sentence_is_the_category_of_its_singular(services: Services, dataset_id: int) -> None:
    with services.store.writing() as session:
        add_category(session, dataset_id, "remote")
        add_category(session, dataset_id, "dogs")
    answer = ask(services, dataset_id, question("ground", "two remotes, three dogs and two birds on a bird"))
    assert answer["categories"] == ["remote", "dogs", "bird"]


def shift(services: Services, by: float) -> None:
    """Make the random detector sure of everything, or of nothing: its scores are 0.5 more or less."""
    detector = services.models.detector().inner
    assert isinstance(detector, GroundingDetector)
    for head in detector.model.class_embed:
        torch.nn.init.constant_(head.bias, by)


def test_an_expression_keeps_one_box_and_names_its_category(services: Services, dataset_id: int) -> None:
    shift(services, 20)
    answer = ask(services, dataset_id, question("refer", "the red  ball."))
    assert answer == {"found": ["the red ball"], "categories": ["the red ball"]}


def test_an_expression_that_nothing_fits_leaves_no_box_and_no_category(services: Services, dataset_id: int) -> None:
    shift(services, -20)
    assert ask(services, dataset_id, question("refer", "the red ball")) == {"found": [], "categories": []}


def test_only_names_are_remembered_as_the_prompt_of_the_dataset(services: Services, dataset_id: int) -> None:
    ask(services, dataset_id, CATS_AND_DOGS)
    ask(services, dataset_id, question("ground", "a cat on the left of a dog"))
    with services.store.reading() as session:
        assert dataset_by_id(session, dataset_id).prompt == "cat. dog."


def test_one_image_is_answered_while_a_whole_dataset_is_under_way(services: Services, dataset_id: int) -> None:
    ids = image_ids(services, dataset_id)
    everything = services.labeller.start(dataset_id, question("detect", "cat."), None, WHOLE)
    one = services.labeller.start(dataset_id, question("detect", "cat."), ids[:1], WHOLE)
    deadline = time.monotonic() + 60
    while services.jobs.state(one).state not in ("done", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert services.jobs.state(one).state == "done"
    assert services.jobs.state(one).images == (ids[0],)
    while services.jobs.state(everything).state != "done":
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_questions_that_come_together_have_the_answers_they_have_alone(services: Services, dataset_id: int) -> None:
    ids = image_ids(services, dataset_id)[:3]
    alone = [label(services, dataset_id, [image_id]).state.detections for image_id in ids]
    detector = services.models.detector().inner
    assert isinstance(detector, GroundingDetector)
    detector._batch_size = 8
    with services.models.device(Urgency.CLICK):
        started = [services.labeller.start(dataset_id, CATS_AND_DOGS, [image_id], WHOLE) for image_id in ids]
        deadline = time.monotonic() + 60
        while sum(len(group.members) for group in services.labeller._gathering._open.values()) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    while any(services.jobs.state(job).state == "running" for job in started):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert [services.jobs.state(job).detections for job in started] == alone


def test_small_things_are_looked_for_in_tiles_and_others_get_in_between(services: Services, dataset_id: int) -> None:
    ids = image_ids(services, dataset_id)
    clicks: list[Urgency] = []

    class Clicking(Job):
        """Stops while the first image is under way; its tiles after that are not looked at."""

        @property
        def should_stop(self) -> bool:
            clicks.append(Urgency.CLICK)
            return len(clicks) > 6

    tiles = Method(tiles=64)
    stopped = Clicking(uuid4())
    services.labeller.run(dataset_id, CATS_AND_DOGS, ids[:1], stopped, method=tiles)
    assert stopped.state.images == ()
    whole = label(services, dataset_id, ids[:1])
    job = Job(uuid4())
    result = services.labeller.run(dataset_id, CATS_AND_DOGS, None, job, method=tiles)
    assert (result["already"], job.state.images) == (0, tuple(ids[:3]))
    assert job.state.detections > whole.state.detections
    with services.store.reading() as session:
        for row in image_shapes(session, ids[0])["predictions"]:
            assert 0 <= row["xyxy"][0] < row["xyxy"][2] <= 120
    masked = Job(uuid4())
    services.labeller.run(dataset_id, CATS_AND_DOGS, ids[:1], masked, method=Method(masks=True, tiles=64))
    with services.store.reading() as session:
        assert image_shapes(session, ids[0])["predictions"][0]["mask"] is not None


def changed(checkpoint: Path, folder: Path, *, elsewhere: bool) -> str:
    """A copy of a random detector that is sure of what it finds, and perhaps finds it elsewhere."""
    shutil.copytree(checkpoint, folder)
    detector = load_grounding_detector(folder)
    for head in detector.model.class_embed:
        torch.nn.init.constant_(head.bias, 5.0)
    if elsewhere:
        for place in detector.model.bbox_embed:
            torch.nn.init.constant_(place.layers[-1].bias, 1.0)
    save_detector(detector, folder)
    return str(folder)


def test_two_detectors_are_asked_and_what_one_of_them_alone_sees_is_disputed(
    services: Services, dataset_id: int, tmp_path: Path, tiny_detector: Path
) -> None:
    first = services.models._asked = changed(tiny_detector, tmp_path / "first", elsewhere=False)
    other = changed(tiny_detector, tmp_path / "other", elsewhere=True)
    ids = image_ids(services, dataset_id)
    services.labeller.run(dataset_id, CATS_AND_DOGS, None, Job(uuid4()), method=Method(second=first))
    with services.store.reading() as session:
        rows = image_shapes(session, ids[0])["predictions"]
        assert {row["agreement"] for row in rows if row["score"] >= 0.3} == {1.0}
        assert images_page(session, dataset_id, filter="disputed").total == 0
    job = Job(uuid4())
    result = services.labeller.run(dataset_id, CATS_AND_DOGS, None, job, method=Method(second=other))
    assert result["second"] == other
    assert job.state.images == tuple(ids[:3])  # another question than before
    with services.store.reading() as session:
        rows = image_shapes(session, ids[0])["predictions"]
        assert {row["checkpoint"] for row in rows if row["agreement"] == 0} == {first, other}
        assert images_page(session, dataset_id, filter="disputed").total == 3


def test_a_detection_that_waits_for_the_device_ends_when_it_is_stopped(services: Services, dataset_id: int) -> None:
    ids = image_ids(services, dataset_id)
    with services.models.device(Urgency.CLICK):
        waiting = services.labeller.start(dataset_id, question("detect", "cat."), ids[:1], WHOLE)
        services.jobs.stop(waiting)  # while it waits to load the detector, or to use it
        deadline = time.monotonic() + 60
        while services.jobs.state(waiting).state not in ("stopped", "failed"):
            assert time.monotonic() < deadline
            time.sleep(0.005)
    state = services.jobs.state(waiting)
    assert (state.state, state.images) == ("stopped", ())
