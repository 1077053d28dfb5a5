"""Everything that is wrong with a dataset is told at once, and nothing that is right is complained of."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy import select

from annotations.captions import add_captions, expression
from annotations.database import Store
from annotations.models import Image
from engine.grounding import GroundingDetector
from tests.training.checks.faulty import BALL, CAR, Box, Photo, add_dataset, clean, photos
from tests.training.coloured_squares import QUICK, tiny_grounding_detector
from training.checks.problem import Problem, Report
from training.config import TrainConfig
from training.preflight import PreflightRefused, preflight, quick_check, refuse_errors

SIXTY = "a" * 59  # of the tiny tokenizer: one word piece a letter, one for the end


@pytest.fixture(scope="module")
def detector() -> GroundingDetector:
    return tiny_grounding_detector()


def checked(
    store: Store, detector: GroundingDetector, folder: Path, config: TrainConfig = QUICK, seconds: float = 60
) -> Report:
    with store.reading() as session:
        return preflight(session, "shelf", detector, config, folder, seconds=seconds)


def found(report: Report, kind: str) -> Problem:
    (problem,) = (problem for problem in report.problems if problem.kind == kind)
    return problem


def kinds(report: Report) -> list[str]:
    return [problem.kind for problem in report.problems]


def test_a_dataset_without_a_fault_has_no_problem(store: Store, detector: GroundingDetector, tmp_path: Path) -> None:
    add_dataset(store, tmp_path / "images", clean(), prompt="blue ball. red car.")
    report = checked(store, detector, tmp_path)
    assert kinds(report) == []
    refuse_errors(report, "shelf")


def test_all_of_ten_problems_are_named_at_once(store: Store, detector: GroundingDetector, tmp_path: Path) -> None:
    grid: list[Box] = [(0, x * 3, y * 4, x * 3 + 2, y * 4 + 2) for x in range(50) for y in range(40)]
    images = [
        *photos(10),
        Photo("copy in train.png", picture=1000),
        Photo("original in val.png", split="val", picture=1000),
        Photo("crowd.png", grid, picture=50, size=(160, 160)),
        Photo("outside.png", [(0, 200, 10, 250, 60)], picture=51),
        Photo("twice.png", [BALL, BALL], picture=52),
        Photo("gone.png", picture=53),
        Photo("damaged.png", picture=54),
        Photo("not done.png", picture=55, done=False),
        Photo("bus.png", [(2, 10, 10, 90, 90)], split="val", picture=56),
    ]
    categories = [
        ("blue ball", ["blue ball"]),
        ("red car", ["red car", "ball"]),
        ("bus", ["bus"]),
        ("sphere", ["ball"]),
        ("Ω", ["ωψ"]),
        ("???", ["???"]),
        ("long", ["a b " * 150]),
        ("mini.van", ["mini.van"]),
    ]
    add_dataset(store, tmp_path / "images", images, categories, prompt="blue ball. tram.")
    (tmp_path / "images" / "gone.png").unlink()
    (tmp_path / "images" / "damaged.png").write_bytes(b"not a picture")
    report = checked(store, detector, tmp_path)
    assert [problem.kind for problem in report.errors] == [
        "empty_phrase",
        "same_phrase",
        "unknown_phrase",
        "long_phrase",
    ]
    assert {
        "dot_in_phrase": ("mini.van → mini van",),
        "prompt_without_category": ("tram",),
        "only_in_val": ("bus",),
        "box_outside": ("outside.png",),
        "same_box_twice": ("twice.png",),
        "not_done": ("not done.png",),
        "more_boxes_than_queries": ("crowd.png",),
        "tiny_boxes": ("crowd.png",),
        "image_gone": ("gone.png",),
        "image_unreadable": ("damaged.png",),
        "same_image_in_two_splits": ("copy in train.png (train) = original in val.png (val)",),
    }.items() <= {problem.kind: problem.where for problem in report.warnings}.items()
    assert found(report, "category_without_boxes").where == ("sphere", "Ω", "???", "long", "mini.van")
    with pytest.raises(PreflightRefused, match=r"for 4 reasons: .*'ball \(red car, sphere\)'.*'ωψ'.*'long'") as refusal:
        refuse_errors(report, "shelf")
    assert "\n" not in str(refusal.value)
    assert all("\n" not in problem.line for problem in report.problems)


def test_an_image_of_two_thousand_boxes_is_named(store: Store, detector: GroundingDetector, tmp_path: Path) -> None:
    grid: list[Box] = [(0, x * 12, y * 12, x * 12 + 10, y * 12 + 10) for x in range(50) for y in range(40)]
    add_dataset(store, tmp_path / "images", [*clean(), Photo("crowd.png", grid, picture=9, size=(600, 480))])
    problem = found(checked(store, detector, tmp_path), "more_boxes_than_queries")
    assert (problem.severity, problem.where) == ("warning", ("crowd.png",))
    assert "20 objects" in problem.what


def test_a_size_is_named_at_which_tiny_boxes_can_be_seen(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    # On 600 x 480 px shown at 96: 10 px become 2. To be 8 they need 480 * 8 / 10 = 384 on the short side.
    grid: list[Box] = [(0, x * 12, 0, x * 12 + 10, 10) for x in range(40)]
    add_dataset(store, tmp_path / "images", [*clean(), Photo("far.png", grid, picture=9, size=(600, 480))])
    problem = found(checked(store, detector, tmp_path), "tiny_boxes")
    assert problem.what.startswith("40 boxes (69%)")
    assert "short_side_px=384" in problem.advice
    larger = QUICK.updated({"short_side_px": 384})
    assert "tiny_boxes" not in kinds(checked(store, detector, tmp_path, larger))


def test_a_category_of_sixty_word_pieces_is_named_and_works(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    add_dataset(store, tmp_path / "images", clean(), [("blue ball", ()), (SIXTY, ())])
    report = checked(store, detector, tmp_path)
    assert kinds(report) == ["spelt_phrase", "lengthy_phrase"]
    assert report.errors == []


def test_phrases_that_do_not_fit_together_are_an_error(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    many = [letter * 60 for letter in "abcde"]
    add_dataset(store, tmp_path / "images", clean(), [("blue ball", ()), ("red car", many)])
    assert found(checked(store, detector, tmp_path), "many_phrases").where == ("red car",)


def test_names_of_file_formats_are_checked_as_they_are_asked_for(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    # asked for as "blue ball" and, of a name that is long only with its remark, "red car"
    add_dataset(store, tmp_path / "images", clean(), [("blue_ball", ()), (f"red_car_({SIXTY})", ())])
    assert kinds(checked(store, detector, tmp_path)) == []


def test_texts_are_not_looked_at_where_none_is_asked_for(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    add_dataset(store, tmp_path / "images", clean())
    with store.writing() as session:
        image = session.scalars(select(Image).where(Image.file_name == "train-0.png")).one()
        add_captions(session, image.id, [expression("cat " * 300, np.array([[0, 0, 9, 9]], np.float32))])
    assert kinds(checked(store, detector, tmp_path)) == ["long_text"]
    assert kinds(checked(store, detector, tmp_path, replace(QUICK, captions=0))) == []


def test_an_empty_val_split_is_said_with_what_is_done_about_it(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    add_dataset(store, tmp_path / "images", photos(20))
    assert "3 of 20 images are held out" in found(checked(store, detector, tmp_path), "no_validation").line


def test_nothing_to_learn_from_is_an_error_beside_the_others(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    add_dataset(store, tmp_path / "images", photos(4, "val"), [("cat", ()), ("Cat", ())])
    assert kinds(checked(store, detector, tmp_path))[:2] == ["same_phrase", "nothing_to_learn"]


def test_images_that_cannot_be_used_are_told_by_id_so_that_a_run_can_leave_them_out(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    add_dataset(store, tmp_path / "images", clean())
    Picture.new("RGB", (50, 50)).save(tmp_path / "images" / "train-3.png")
    (tmp_path / "images" / "val-1.png").unlink()
    report = checked(store, detector, tmp_path)
    assert report.errors == []
    assert len(report.unusable) == 2
    assert found(report, "image_changed").where == ("train-3.png",)


def test_a_run_without_a_readable_image_does_not_start(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    add_dataset(store, tmp_path / "images", clean())
    shutil.rmtree(tmp_path / "images")
    problem = found(checked(store, detector, tmp_path), "no_image_left")
    assert (problem.severity, problem.count) == ("error", 10)


def test_a_picture_saved_again_is_known_on_the_other_side_of_the_split(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    again = Photo("again.jpg", split="val", picture=5)
    add_dataset(store, tmp_path / "images", [*clean(), again, Photo("flat.png", picture=70)])
    grey = Picture.fromarray(np.full((96, 160, 3), 90, np.uint8))
    grey.save(tmp_path / "images" / "flat.png")
    grey.save(tmp_path / "images" / "val-0.png")
    report = checked(store, detector, tmp_path)
    assert found(report, "near_copy_in_two_splits").where == ("train-5.png (train) ≈ again.jpg (val)",)


def test_reading_ends_when_its_time_is_up_and_says_so(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    add_dataset(store, tmp_path / "images", clean())
    assert "0 of 12 images read" in found(checked(store, detector, tmp_path, seconds=0), "not_all_read").what


def test_boxes_without_area_or_over_the_edge_are_named(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    # The database holds x1 < x2; as float32 these two are the same.
    images = [
        Photo("none.png", [(0, 100.0, 10, 100.000001, 60)], picture=60),
        Photo("beyond.png", [(0, 100, 10, 200, 60)], picture=61),
        Photo("renamed.png", [BALL, (1, *BALL[1:])], picture=62),
    ]
    add_dataset(store, tmp_path / "images", [*clean(), *images])
    report = checked(store, detector, tmp_path)
    assert found(report, "box_without_area").where == ("none.png",)
    assert found(report, "box_beyond_edge").where == ("beyond.png",)
    assert found(report, "two_names_for_a_box").where == ("renamed.png",)


def test_rare_categories_few_images_and_bare_ones_are_counted(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    images = [*photos(3), *photos(1, "val", 9), Photo("bare.png", [], picture=80, done=False)]
    add_dataset(store, tmp_path / "images", images)
    report = checked(store, detector, tmp_path)
    assert found(report, "few_images").what == "Only 3 images with boxes to learn from"
    assert found(report, "rare_category").where == ("blue ball (3)", "red car (3)")
    assert found(report, "unlabelled_images").what.startswith("1 image without")


def test_a_category_that_every_image_shows_is_named_until_one_is_known_to_lack_it(store: Store, tmp_path: Path) -> None:
    def told(name: str, images: list[Photo]) -> tuple[str, ...]:
        add_dataset(store, tmp_path / name, images, name=name)
        with store.reading() as session:
            return next((p.where for p in quick_check(session, name).warnings if p.kind == "never_absent"), ())

    assert told("both", photos(10)) == ("blue ball", "red car")
    assert told("one", [*photos(10), Photo("ball.png", [BALL], picture=90)]) == ("blue ball",)
    assert told("empty", [*photos(10), Photo("empty.png", [], picture=91)]) == ()
    # what an image that is not done has no box of may still be there
    assert told("unsure", [*photos(10), Photo("ball.png", [BALL], picture=92, done=False)]) == ("blue ball", "red car")
    assert told("elsewhere", [*photos(10), Photo("empty.png", [], split="val", picture=93)]) == ("blue ball", "red car")


def test_names_with_a_side_are_named_only_where_images_are_mirrored(store: Store, tmp_path: Path) -> None:
    add_dataset(store, tmp_path / "images", clean(), [("left hand", ()), ("red car", ())])
    with store.reading() as session:
        assert kinds(quick_check(session, "shelf")) == ["sided_name"]
        assert kinds(quick_check(session, "shelf", TrainConfig(flip=0))) == []


def test_a_novel_category_that_is_none_is_an_error(store: Store, tmp_path: Path) -> None:
    add_dataset(store, tmp_path / "images", clean())
    with store.reading() as session:
        report = quick_check(session, "shelf", TrainConfig(mode="open", novel=("red car", "tram")))
    assert found(report, "unknown_novel").where == ("tram",)


def test_a_disk_without_room_is_an_error(store: Store, detector: GroundingDetector, tmp_path: Path) -> None:
    from training.checks.space import check_space, needed_bytes

    parameters = sum(value.numel() for value in detector.model.parameters())
    closed = needed_bytes(detector.model, TrainConfig(mode="closed"))
    assert closed == 4 * (10 + 1) * parameters
    assert needed_bytes(detector.model, TrainConfig(mode="vocabulary", backbone_multiplier=0)) < closed
    assert list(check_space(tmp_path / "not made yet", detector.model, QUICK)) == []


def test_a_report_becomes_a_document(store: Store, tmp_path: Path) -> None:
    add_dataset(store, tmp_path / "images", [Photo(f"{i}.png", [BALL, CAR], picture=i, done=False) for i in range(20)])
    with store.reading() as session:
        document = quick_check(session, "shelf").to_json()
    assert (document["errors"], document["warnings"]) == (0, 2)
    (not_done,) = (problem for problem in document["problems"] if problem["kind"] == "not_done")
    assert not_done["count"] == 17  # three are held out
    assert not_done["line"].endswith("mark them as done (D in Label).")
    assert "and 12 more" in not_done["line"]


def test_texts_teach_too_and_one_too_long_to_read_is_named(
    store: Store, detector: GroundingDetector, tmp_path: Path
) -> None:
    bare = [Photo(f"{index}.png", [], picture=index, done=False) for index in range(12)]
    add_dataset(store, tmp_path / "images", bare, prompt=None)
    with store.writing() as session:
        for image in session.scalars(select(Image)):
            text = "the cat on the left" if image.position else "cat " * 300
            add_captions(session, image.id, [expression(text.strip(), np.array([[10, 10, 50, 50]], np.float32))])
    report = checked(store, detector, tmp_path)
    assert report.errors == []
    assert "unlabelled_images" not in kinds(report)
    assert found(report, "long_text").where == ("0.png",)
    (tmp_path / "images" / "3.png").unlink()
    assert found(checked(store, detector, tmp_path), "image_gone").where == ("3.png",)
