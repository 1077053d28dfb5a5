from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sqlalchemy import select

from annotations.models import Annotation, Category, Image
from engine.grounding import GroundingDetector
from tests.training.coloured_squares import QUICK, tiny_grounding_detector
from tests.training.workspaces import Bench, add_squares, make_bench
from training.data import BatchMaker
from training.forgetting import kept
from training.material import read_material
from training.replay import (
    EVERYDAY_NAMES,
    Memory,
    Pool,
    load_memory,
    notes_on,
    pool_of,
    remember,
    replay_source,
    save_memory,
)

CONFIG = replace(QUICK, mode="vocabulary", replay=0.5, replay_threshold=0.04, negatives=4)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "workspace")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def detector() -> GroundingDetector:
    return tiny_grounding_detector()


def rename(bench: Bench, dataset_id: int, names: Sequence[str]) -> None:
    """Call the two categories of a dataset differently."""
    with bench.store.writing() as session:
        rows = session.scalars(select(Category).where(Category.dataset_id == dataset_id).order_by(Category.id))
        for row, name in zip(rows, names, strict=True):
            row.name = name
            row.phrases[0].text = name


def pool(bench: Bench, detector: GroundingDetector, name: str = "squares") -> Pool:
    with bench.store.reading() as session:
        return pool_of(session, read_material(session, name), detector, CONFIG.seed)


def names_of(pool: Pool, index: int) -> list[str]:
    assert pool.ontology is not None
    return [pool.ontology.names[name] for name in pool.questions[index].names]


def test_other_datasets_are_asked_for_their_own_categories_and_never_for_what_is_taught(
    bench: Bench, detector: GroundingDetector
) -> None:
    add_squares(bench, train=3)
    rename(bench, add_squares(bench, train=2, val=1, name="others"), ["Cat", "red car"])
    found = pool(bench, detector)
    assert len(found.questions) == 2
    assert names_of(found, 0) == names_of(found, 1) == ["cat"]


def test_unlabelled_images_of_the_dataset_are_asked_for_everyday_things(
    bench: Bench, detector: GroundingDetector
) -> None:
    dataset_id = add_squares(bench, train=3, val=1)
    rename(bench, dataset_id, ["person", "red car"])
    with bench.store.writing() as session:
        bare = session.scalars(select(Image).where(Image.dataset_id == dataset_id)).first()
        assert bare is not None
        for annotation in session.scalars(select(Annotation).where(Annotation.image_id == bare.id)):
            session.delete(annotation)
    found = pool(bench, detector)
    assert [question.image.id for question in found.questions] == [bare.id]
    assert names_of(found, 0) == [name for name in EVERYDAY_NAMES if name != "person"]


def test_a_name_the_detector_cannot_read_is_left_out(bench: Bench, detector: GroundingDetector) -> None:
    add_squares(bench, train=2)
    rename(bench, add_squares(bench, train=1, name="others"), ["x " * 300, "dog"])
    assert names_of(pool(bench, detector), 0) == ["dog"]


def test_a_dataset_of_many_categories_is_asked_for_eighty_of_them(bench: Bench, detector: GroundingDetector) -> None:
    from annotations.categories import ensure_categories

    add_squares(bench, train=2)
    other = add_squares(bench, train=1, name="others")
    with bench.store.writing() as session:
        ensure_categories(session, other, [(f"thing {number}", ()) for number in range(100)])
    assert len(names_of(pool(bench, detector), 0)) == 80


def test_without_other_images_nothing_is_remembered_and_the_person_is_told(
    bench: Bench, detector: GroundingDetector
) -> None:
    add_squares(bench, train=3, val=1)
    memory = remember(detector, pool(bench, detector), CONFIG)
    assert memory == Memory()
    assert "Nothing is replayed: the workspace has no other images" in notes_on(memory, CONFIG)[0]
    assert notes_on(memory, QUICK) == [
        "What the detector forgets is not measured: there are no other images it is sure of anything on."
    ]
    assert kept(detector, memory) is None


@pytest.fixture
def memory(bench: Bench, detector: GroundingDetector) -> Memory:
    add_squares(bench, train=3)
    rename(bench, add_squares(bench, train=8, name="others"), ["cat", "dog"])
    return remember(detector, pool(bench, detector), CONFIG)


def test_what_is_remembered_is_sure_and_apart_from_the_probe(memory: Memory, detector: GroundingDetector) -> None:
    assert len(memory.probe) == 2  # a quarter of eight, the rest is repeated
    assert len(memory.replayed) == 6
    ids = [recalled.image.id for recalled in (*memory.probe, *memory.replayed)]
    assert len(set(ids)) == 8
    assert all(len(recalled.image.boxes_xyxy) for recalled in (*memory.probe, *memory.replayed))
    assert not any(recalled.image.done for recalled in memory.replayed)
    (text,) = notes_on(memory, CONFIG)
    assert text.startswith("Replayed: what the detector was sure of before,")
    assert "on 6 other images" in text


def test_the_same_seed_remembers_the_same_and_files_keep_it(
    memory: Memory, bench: Bench, detector: GroundingDetector, tmp_path: Path
) -> None:
    path = tmp_path / "replay.json"
    save_memory(memory, path)
    again = remember(detector, pool(bench, detector), CONFIG)
    for other in (load_memory(path), again):
        assert other.ontology == memory.ontology
        for one, two in zip((*memory.probe, *memory.replayed), (*other.probe, *other.replayed), strict=True):
            assert (one.names, one.image.id, one.image.absent_ids) == (two.names, two.image.id, two.image.absent_ids)
            assert np.array_equal(one.image.boxes_xyxy, two.image.boxes_xyxy)
            assert np.array_equal(one.image.category_ids, two.image.category_ids)


def test_replay_images_bounds_how_many_are_asked(bench: Bench, detector: GroundingDetector) -> None:
    add_squares(bench, train=3)
    rename(bench, add_squares(bench, train=8, name="others"), ["cat", "dog"])
    found = remember(detector, pool(bench, detector), replace(CONFIG, replay_images=3))
    assert len(found.replayed) == 3
    unasked = remember(detector, pool(bench, detector), replace(CONFIG, replay=0.0))
    assert (len(unasked.replayed), len(unasked.probe)) == (0, 8)
    assert len(remember(detector, pool(bench, detector), replace(CONFIG, validate_images=1)).probe) == 1
    assert remember(detector, pool(bench, detector), CONFIG, stop=lambda: True).replayed == ()


def test_an_image_whose_file_is_gone_is_left_out(bench: Bench, detector: GroundingDetector) -> None:
    add_squares(bench, train=3)
    rename(bench, add_squares(bench, train=4, name="others"), ["cat", "dog"])
    (bench.root / "images of others" / "2.png").unlink()
    found = remember(detector, pool(bench, detector), replace(CONFIG, replay=0.0))
    assert len(found.probe) == 3


def test_only_names_that_were_asked_for_stand_in_the_prompts_of_replayed_images(
    memory: Memory, detector: GroundingDetector
) -> None:
    source = replay_source(memory, detector, CONFIG, 0.5)
    assert source is not None
    (batch,) = BatchMaker([source], detector.preprocessing, CONFIG)(1)
    assert all(set(text.rstrip(".").split(". ")) <= {"cat", "dog"} for text in batch.texts)
    assert all(len(target.boxes) for target in batch.targets)
    assert replay_source(Memory(), detector, CONFIG, 0.5) is None


def test_what_is_unsure_is_neither_there_nor_absent(memory: Memory) -> None:
    for recalled in memory.replayed:
        present = set(recalled.image.category_ids.tolist())
        assert present.isdisjoint(recalled.image.absent_ids)
        assert present | recalled.image.absent_ids <= set(recalled.names)


def test_the_base_keeps_everything_and_a_ruined_detector_little(memory: Memory, detector: GroundingDetector) -> None:
    assert kept(detector, memory) == pytest.approx(1.0, abs=1e-9)
    ruined = tiny_grounding_detector(seed=3)
    with torch.no_grad():
        for parameter in ruined.model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    left = kept(ruined, memory)
    assert left is not None
    assert left < 0.9
