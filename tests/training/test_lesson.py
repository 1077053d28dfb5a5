import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import delete, select

from annotations.captions import CaptionText, Phrase, add_captions, expression
from annotations.categories import ensure_categories
from annotations.models import Annotation, Caption, Category, Image
from engine.checkpoints import load_grounding_detector
from tests.training.workspaces import QUICK_SETTINGS, Bench, add_squares, make_bench
from training.config import TrainConfig
from training.errors import JobRefused, NothingToTrain
from training.job import resume_training, run_training
from training.lesson import Lesson, lesson_of
from training.material import read_material
from training.replay import Memory

REPLAY = (*QUICK_SETTINGS, "replay=0.5", "replay_threshold=0.03")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "workspace")
    yield made
    made.store.close()


def caption_all(bench: Bench, dataset_id: int) -> None:
    """Every image gets a caption with a phrase, an expression and an expression that means nothing."""
    box = np.array([[10, 10, 50, 50]], np.float32)
    with bench.store.writing() as session:
        for image_id in session.scalars(select(Image.id).where(Image.dataset_id == dataset_id)):
            caption = CaptionText(0, "a red car here", "caption", (Phrase(((2, 9),), box),))
            add_captions(session, image_id, [caption, expression("the red car", box), expression("a dog", box[:0])])


def captioned_only(bench: Bench, train: int = 4, val: int = 2) -> int:
    dataset_id = add_squares(bench, train=train, val=val, labels=False)
    with bench.store.writing() as session:
        session.execute(delete(Category))
    caption_all(bench, dataset_id)
    return dataset_id


def lesson(bench: Bench, **settings: Any) -> Lesson:
    with bench.store.reading() as session:
        material = read_material(session, "squares")
    detector = load_grounding_detector(bench.detector, device="cpu")
    return lesson_of(material, Memory(), detector, TrainConfig().updated(settings))


def test_captions_take_their_share_beside_boxes(bench: Bench) -> None:
    caption_all(bench, add_squares(bench, train=4, val=2))
    boxes, texts = lesson(bench, captions=0.25).sources
    assert (boxes.share, texts.share, len(texts.items)) == (0.75, 0.25, 4)
    (alone,) = lesson(bench, captions=0.0).sources
    assert alone.share == 1.0


def test_boxes_and_texts_are_measured_together_and_each_alone_where_it_alone_is_taught(bench: Bench) -> None:
    caption_all(bench, add_squares(bench, train=4, val=2))
    both = lesson(bench, captions=0.5).evaluate().metrics
    assert both["AP"] is not None
    assert both["R@1"] is not None
    assert both["P@1"] is not None
    texts_alone = lesson(bench, captions=1).evaluate().metrics
    assert texts_alone["AP"] is None
    assert texts_alone["P@1"] == both["P@1"]
    assert "P@1" not in lesson(bench, captions=0).evaluate().metrics


def test_captions_of_images_that_are_held_out_to_measure_on_are_not_learnt(bench: Bench) -> None:
    caption_all(bench, add_squares(bench, train=12))
    boxes, texts = lesson(bench).sources
    assert {image.id for image in texts.items} == {image.id for image in boxes.items}
    assert len(boxes.items) == 10


def test_texts_are_measured_on_the_images_held_out(bench: Bench) -> None:
    caption_all(bench, add_squares(bench, train=12))
    found = lesson(bench)
    for image in found.sources[1].items:
        Path(image.path).unlink()
    assert found.evaluate().metrics["P@1"] is not None


def test_texts_that_are_learnt_and_measured_on_the_same_images_are_told_of(bench: Bench) -> None:
    caption_all(bench, add_squares(bench, train=4, val=2))
    with bench.store.writing() as session:
        of_val = select(Image.id).where(Image.split == "val")
        session.execute(delete(Caption).where(Caption.image_id.in_(of_val)))
    assert lesson(bench).notes == (
        "No image to measure on has a text: texts are measured on images they are learnt from, so the numbers flatter.",
    )


def test_texts_that_name_a_held_out_category_are_not_learnt(bench: Bench) -> None:
    caption_all(bench, add_squares(bench, train=4, val=2))
    found = lesson(bench, mode="open", novel="red car")
    _, texts = found.sources
    assert {text.text for image in texts.items for text in image.captions} == {"a dog"}
    assert "8 texts name a held-out category and are left out." in found.notes


def test_a_dataset_of_captions_alone_is_learnt_and_measured_by_its_texts(bench: Bench) -> None:
    captioned_only(bench)
    document = run_training(bench.store, bench.root, bench.request(steps=2))
    assert document["state"] == "done"
    assert set(document["metrics"]) == {"AP", "AP50", "R@1", "R@5", "R@10", "P@1"}
    assert document["metrics"]["AP"] is None
    assert document["metrics"]["R@10"] is not None
    assert document["best_step"] == 2
    manifest = json.loads((Path(document["folder"]) / "groundwork.json").read_text())
    assert (manifest["categories"], manifest["prompt"]) == ({}, "")
    again = run_training(bench.store, bench.root, bench.request(steps=2))
    assert again["snapshot"] == document["snapshot"]


def test_without_a_captioned_val_split_some_are_held_out(bench: Bench) -> None:
    captioned_only(bench, train=4, val=0)
    found = lesson(bench)
    assert found.images == 3
    assert found.notes == ("There is no captioned val split: 1 of 4 images are held out to measure on.",)


def test_neither_labels_nor_captions_are_nothing_to_learn_from(bench: Bench) -> None:
    dataset_id = captioned_only(bench, train=0, val=2)
    with bench.store.writing() as session:
        ensure_categories(session, dataset_id, [("cat", ())])
    with pytest.raises(NothingToTrain, match="Label or caption some images"):
        lesson(bench)


def test_open_training_measures_held_out_categories_apart(bench: Bench) -> None:
    add_squares(bench, train=4, val=3)
    settings = (*QUICK_SETTINGS, "novel=red car", "negatives=2")
    document = run_training(bench.store, bench.root, bench.request(mode="open", settings=settings))
    assert {"AP_base", "AP50_base", "AP_novel", "AP50_novel"} <= set(document["metrics"])
    per_category = document["per_category"]
    assert document["metrics"]["AP_base"] == per_category["blue ball"]["AP"]
    assert document["metrics"]["AP50_novel"] == per_category["red car"]["AP50"]
    both = (document["metrics"]["AP_base"] + document["metrics"]["AP_novel"]) / 2
    assert document["metrics"]["AP"] == pytest.approx(both, abs=1e-9)
    assert "Held out and measured apart: red car." in document["notes"]
    progress = (bench.root / "runs" / document["run"] / "progress.jsonl").read_text().splitlines()
    assert all("AP_novel" in line for line in map(json.loads, progress) if line.get("event") == "evaluation")


def test_open_training_says_where_too_few_categories_leave_none_to_hold_out(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    assert any("No category is held out of 2" in note for note in lesson(bench, mode="open").notes)
    assert not any("held out of" in note for note in lesson(bench, mode="vocabulary").notes)


def other_dataset(bench: Bench, count: int = 8) -> None:
    dataset_id = add_squares(bench, train=count, name="others")
    with bench.store.writing() as session:
        rows = session.scalars(select(Category).where(Category.dataset_id == dataset_id).order_by(Category.id))
        for row, name in zip(rows, ("cat", "dog"), strict=True):
            row.name = row.phrases[0].text = name


def test_a_run_replays_what_the_base_knew_and_tells_how_much_is_kept(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    other_dataset(bench)
    with bench.store.reading() as session:
        annotations = session.scalars(select(Annotation.id)).all()
    document = run_training(bench.store, bench.root, bench.request(settings=REPLAY))
    assert 0 <= document["kept"] <= 1
    assert any(note.startswith("Replayed: what the detector was sure of before") for note in document["notes"])
    memory = json.loads((bench.root / "runs" / document["run"] / "replay.json").read_text())
    assert (memory["names"], len(memory["probe"])) == (["cat", "dog"], 2)
    with bench.store.reading() as session:
        assert session.scalars(select(Annotation.id)).all() == annotations


def test_a_run_that_replays_resumes_to_the_same_end(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    other_dataset(bench)
    expected = run_training(bench.store, bench.root, bench.request(settings=REPLAY))

    def fail_at_three(line: dict[str, Any]) -> None:
        if line["step"] == 3:
            raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="terminal"):
        run_training(bench.store, bench.root, bench.request(settings=REPLAY), say=fail_at_three)
    (failed,) = [path.name for path in (bench.root / "runs").iterdir() if path.name != expected["run"]]
    with bench.store.writing() as session:
        session.execute(delete(Annotation))
    document = resume_training(bench.store, bench.root, UUID(failed))
    assert (document["metrics"], document["kept"]) == (expected["metrics"], expected["kept"])


def test_faults_that_keep_a_run_from_starting_are_told_before_its_first_step(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    settings = (*QUICK_SETTINGS, "novel=unicorn")
    with pytest.raises(JobRefused, match="unicorn"):
        run_training(bench.store, bench.root, bench.request(mode="open", settings=settings))


def test_damaged_images_are_left_out_and_counted(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    (bench.root / "images of squares" / "1.png").write_bytes(b"no picture")
    document = run_training(bench.store, bench.root, bench.request(steps=1))
    assert "1 images are left out because their files are gone or can't be read." in document["notes"]


def test_a_run_keeps_curves_and_with_what_it_was_started(bench: Bench) -> None:
    add_squares(bench, train=4, val=2)
    document = run_training(bench.store, bench.root, bench.request(steps=1))
    folder = bench.root / "runs" / document["run"]
    assert len(list((folder / "tensorboard").glob("events.out.tfevents.*"))) == 1
    (start,) = [json.loads(line) for line in (folder / "starts.jsonl").read_text().splitlines()]
    assert (start["device"], start["processes"]) == ("cpu", 1)
    assert {"groundwork", "python", "torch", "transformers", "numpy"} <= set(start["versions"])
    assert replace(TrainConfig(), steps=1).steps == json.loads((folder / "config.json").read_text())["config"]["steps"]
