"""Names nobody looked for are no negatives; those on the image come first where there is little room."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy.orm import Session

from annotations.categories import ensure_categories
from annotations.database import Store
from annotations.edits import Edit, apply_edit
from annotations.importers.doors import import_path
from annotations.models import Dataset, Image, Prediction
from annotations.predictions import NewPrediction, save_predictions
from annotations.queries import LabelledImage, labelled_images
from engine.errors import PromptError
from engine.ontology import Category, Ontology
from engine.preprocessing import Preprocessing
from engine.prompts import encode
from tests.tiny_checkpoint import tiny_tokenizer
from tests.training.coloured_squares import QUICK, labelled
from training.data import BatchMaker
from training.dataset import load_dataset, read_dataset, save_dataset
from training.samples import SampledPrompt
from training.sources import Source
from training.vocabulary import OTHER_NAMES, PromptSampler

TOKENIZER = tiny_tokenizer()
NAMES = ("cat", "dog", "car", "bird")
ONTOLOGY = Ontology.from_names(NAMES)
CAT, DOG, CAR, BIRD = range(4)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "groundwork.db")
    yield opened
    opened.close()


def names_in(prompt: SampledPrompt) -> set[str]:
    return {name.strip() for name in prompt.text.split(".") if name.strip()}


def spelled(prompt: SampledPrompt) -> set[str]:
    """The words of the unknown tokens."""
    if prompt.unknown_tokens is None:
        return set()
    return set(TOKENIZER.decode([prompt.input_ids[i] for i in prompt.unknown_tokens.nonzero().flatten()]).split())


def prompts_of(image: LabelledImage, mode: str, count: int = 40) -> list[SampledPrompt]:
    sampler = PromptSampler(ONTOLOGY, TOKENIZER, mode, 12)  # type: ignore[arg-type]
    rngs = [np.random.default_rng(seed) for seed in range(count)]
    samples = [(sampler.sample(image, rng), rng) for rng in rngs]
    return [sample.prompt(sample.labels, False, rng) for sample, rng in samples]


def add_dataset(session: Session) -> tuple[Dataset, list[int]]:
    """A dataset without images, and the ids of its categories."""
    dataset = Dataset(name="pets")
    session.add(dataset)
    session.flush()
    return dataset, [row.id for row in ensure_categories(session, dataset.id, [(name, ()) for name in NAMES])]


def add_image(session: Session, dataset: Dataset, position: int) -> int:
    row = Image(
        dataset_id=dataset.id,
        path=f"/{position}.png",
        file_name=f"{position}.png",
        sha256=f"{position:064x}",
        width=100,
        height=80,
        position=position,
    )
    session.add(row)
    session.flush()
    return row.id


def propose(session: Session, image_id: int, *category_ids: int) -> dict[int, int]:
    """A waiting prediction of each category; its id by category."""
    rows = [NewPrediction(id_, (10 * n, 10, 10 * n + 9, 30), 0.6) for n, id_ in enumerate(category_ids)]
    save_predictions(session, image_id, rows, checkpoint="starter", prompt="p")
    found = session.query(Prediction).filter_by(image_id=image_id, state="pending")
    return {row.category_id: row.id for row in found}


def act(session: Session, kind: str, image_id: int, *items: dict[str, object]) -> None:
    apply_edit(session, Edit(uuid4(), kind, image_id, "ada", items))  # type: ignore[arg-type]


@pytest.fixture
def images(store: Store) -> list[LabelledImage]:
    """Three images with a cat: not done with dogs turned down and a car waiting; done; not done and never looked at."""
    with store.writing() as session:
        dataset, ids = add_dataset(session)
        for position in range(3):
            image_id = add_image(session, dataset, position)
            act(session, "create", image_id, {"id": uuid4(), "category_id": ids[CAT], "xyxy": (50, 40, 90, 70)})
            if position == 0:
                waiting = propose(session, image_id, ids[DOG], ids[CAR])
                act(session, "reject", image_id, {"prediction_id": waiting[ids[DOG]]})
            if position == 1:
                act(session, "mark", image_id, {"done": True})
    with store.reading() as session:
        return list(read_dataset(session, "pets").images)


def test_only_what_a_person_turned_down_is_known_to_be_absent(images: list[LabelledImage]) -> None:
    assert [image.done for image in images] == [False, True, False]
    assert [image.absent_of(range(4)) for image in images] == [{DOG}, {DOG, CAR, BIRD}, set()]


def test_an_image_that_is_not_done_has_no_negative_that_was_not_confirmed(images: list[LabelledImage]) -> None:
    reviewed, done, bare = (prompts_of(image, "vocabulary") for image in images)
    assert set().union(*map(names_in, reviewed)) == {"cat", "dog"}
    assert set().union(*map(names_in, bare)) == {"cat"}
    assert set().union(*map(names_in, done)) == {*NAMES, *OTHER_NAMES}
    assert all(prompt.unknown_tokens is None for prompt in reviewed + done + bare)


def test_a_closed_prompt_marks_the_names_nobody_looked_for(images: list[LabelledImage]) -> None:
    reviewed, done, bare = (prompts_of(image, "closed", 1)[0] for image in images)
    assert reviewed.text == done.text == bare.text == "cat. dog. car. bird."
    assert [spelled(prompt) for prompt in (reviewed, done, bare)] == [{"car", "bird"}, set(), {"dog", "car", "bird"}]


def test_a_category_with_an_accepted_or_a_waiting_prediction_is_not_absent(store: Store) -> None:
    with store.writing() as session:
        dataset, ids = add_dataset(session)
        image_id = add_image(session, dataset, 0)
        waiting = propose(session, image_id, *ids)
        act(session, "reject", image_id, {"prediction_id": waiting[ids[CAT]]}, {"prediction_id": waiting[ids[DOG]]})
        act(session, "accept", image_id, {"prediction_id": waiting[ids[CAR]], "annotation_id": uuid4()})
        # a dog is drawn by hand where the proposal was wrong
        act(session, "create", image_id, {"id": uuid4(), "category_id": ids[DOG], "xyxy": (50, 40, 90, 70)})
    with store.reading() as session:
        (image,) = labelled_images(session, dataset.id)
    assert image.absent_ids == {ids[CAT]}


def test_imported_labels_count_as_complete(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "coco"
    folder.mkdir()
    Picture.fromarray(np.zeros((80, 100, 3), np.uint8)).save(folder / "a.png")
    (folder / "annotations.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],'
        ' "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],'
        ' "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "iscrowd": 0}]}'
    )
    import_path(store, "coco", folder)
    with store.reading() as session:
        (image,) = read_dataset(session, "coco").images
    assert image.done
    assert image.absent_of(range(2)) == {1}


def test_what_is_known_comes_back_from_the_runs_file(store: Store, images: list[LabelledImage], tmp_path: Path) -> None:
    with store.reading() as session:
        save_dataset(read_dataset(session, "pets"), tmp_path / "dataset.json")
    back = load_dataset(tmp_path / "dataset.json").images
    assert [(image.done, image.absent_ids) for image in back] == [(i.done, i.absent_ids) for i in images]


def image_of(*labels: int, done: bool = True) -> LabelledImage:
    boxes = [[10, 10, 40, 40]] * len(labels)
    return replace(labelled(1, "/x.png", 100, 80, boxes, list(labels)), done=done)


def test_a_crowd_is_neither_an_example_nor_a_sign_of_absence() -> None:
    image = replace(image_of(CAT, DOG), iscrowd=np.array([False, True]))
    sampler = PromptSampler(ONTOLOGY, TOKENIZER, "vocabulary", 12)
    assert sampler.sample(image, np.random.default_rng(0)).labels.tolist() == [CAT]
    assert not any("dog" in names_in(prompt) for prompt in prompts_of(image, "vocabulary"))
    assert spelled(prompts_of(image, "closed", 1)[0]) == {"dog"}


def test_what_a_crop_has_taken_away_is_no_negative() -> None:
    sampler = PromptSampler(ONTOLOGY, TOKENIZER, "vocabulary", 12)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sample = sampler.sample(image_of(CAT, DOG), rng)
        assert "dog" not in names_in(sample.prompt(sample.labels[:1], False, rng))


def test_an_image_of_which_nothing_is_known_teaches_nothing_about_names() -> None:
    (prompt,) = prompts_of(image_of(done=False), "vocabulary", 1)
    assert spelled(prompt) == names_in(prompt) == {"cat"}


def test_novel_categories_are_never_named_and_their_boxes_are_no_targets() -> None:
    sampler = PromptSampler(ONTOLOGY, TOKENIZER, "open", 12, novel=(DOG, BIRD))
    named = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sample = sampler.sample(image_of(CAT, DOG), rng)
        assert sample.labels.tolist() == [CAT]
        named |= names_in(sample.prompt(sample.labels, False, rng))
    assert named & set(NAMES) == {"cat", "car"}
    only_novel = sampler.sample(image_of(DOG), np.random.default_rng(0))
    assert len(only_novel.boxes_xyxy) == 0
    assert names_in(only_novel.prompt(only_novel.labels, False, np.random.default_rng(0)))


def test_a_dataset_with_a_left_shoe_is_not_mirrored() -> None:
    for names, flips in ((["left shoe", "cat"], False), (["shoe", "cat"], True)):
        sampler = PromptSampler(Ontology.from_names(names), TOKENIZER, "vocabulary", 2)
        assert sampler.sample(image_of(0), np.random.default_rng(0)).flips is flips


def test_what_is_on_the_image_goes_in_before_what_is_not() -> None:
    # each name takes 2 tokens and a '.': 10 of them fill 32 tokens but 2
    ontology = Ontology.from_names([f"cat {index}" for index in range(10)] + [f"dog {index}" for index in range(10)])
    sampler = PromptSampler(ontology, TOKENIZER, "vocabulary", 20, max_tokens=32)
    for seed in range(10):
        prompt = sampler({*range(8)}, {*range(8, 20)}, np.random.default_rng(seed))
        assert set(range(8)) <= set(prompt.positive_map)
        assert len(prompt.input_ids) <= 32
        crowded = sampler({*range(14)}, {*range(14, 20)}, np.random.default_rng(seed), others=False)
        assert len(set(crowded.positive_map) & set(range(14))) == 10
        assert not set(crowded.positive_map) & set(range(14, 20))


def test_a_small_name_still_fits_where_a_long_one_does_not() -> None:
    ontology = Ontology.from_names(["cat " * 12 + "dog", "car"])
    sampler = PromptSampler(ontology, TOKENIZER, "vocabulary", 0, max_tokens=17)
    for seed in range(10):  # 13 tokens and a '.' for one, 1 and a '.' for the other: 16 of 15
        prompt = sampler({0, 1}, (), np.random.default_rng(seed))
        assert len(prompt.positive_map) == 1


def test_a_category_of_60_word_pieces_is_taught_whole() -> None:
    name = " ".join(["q" * 6] * 10)  # each word one piece a letter
    sampler = PromptSampler(Ontology.from_names([name, "cat"]), TOKENIZER, "vocabulary", 3)
    prompt = sampler({0}, {1}, np.random.default_rng(0))
    assert int(prompt.positive_map[0].sum()) == 60
    with pytest.raises(PromptError, match="takes 60 tokens; the detector reads 29 a phrase"):
        PromptSampler(Ontology.from_names([name, "cat"]), TOKENIZER, "vocabulary", 3, max_tokens=32)


@pytest.mark.parametrize("name", ["U.S. flag", "what?", "no. 5", "Käse-Brötchen", "[SEP] cat", "a/b", "x 🐈 y"])
def test_tokens_are_those_of_the_whole_text(name: str) -> None:
    ontology = Ontology((Category(name), Category("dog")))
    prompt = PromptSampler(ontology, TOKENIZER, "vocabulary", 3)({0}, {1}, np.random.default_rng(1), others=False)
    assert len(prompt.positive_map) == 2
    assert prompt.input_ids == encode(prompt.text, (), TOKENIZER).input_ids
    start = prompt.text.index(ontology.categories[0].phrases[0])
    whole = encode(prompt.text, [(start, start + len(ontology.categories[0].phrases[0]))], TOKENIZER)
    (span,) = whole.spans
    assert prompt.positive_map[0].nonzero().flatten().tolist() == list(range(*span))


def test_an_image_with_2000_boxes_becomes_a_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Picture.fromarray(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8)).save(tmp_path / "x.png")
    corners = rng.uniform(0, [600, 440], (2000, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(4, 40, (2000, 2))], axis=1).astype(np.float32)
    ontology = Ontology.from_names([f"cat {index}" for index in range(60)])
    image = replace(
        labelled(1, str(tmp_path / "x.png"), 640, 480, [], []),
        boxes_xyxy=boxes,
        category_ids=rng.integers(0, 60, 2000),
        rles=[None] * 2000,
        iscrowd=np.zeros(2000, np.bool_),
    )
    config = replace(QUICK, mode="vocabulary", batch_size=1, crop=0.0)
    make = BatchMaker(
        [Source([image], PromptSampler(ontology, TOKENIZER, "vocabulary", 12))], Preprocessing(320, 533), config
    )
    (batch,) = make(1)
    assert len(batch.targets[0].boxes) == 2000


def test_in_closed_mode_an_image_is_also_shown_prompts_that_name_nothing_on_it() -> None:
    sampler = PromptSampler(ONTOLOGY, TOKENIZER, "closed", 12, max_tokens=6)  # [CLS] cat . dog . [SEP]: two prompts
    asked = [names_in(sampler({CAT}, {DOG, CAR, BIRD}, np.random.default_rng(seed))) for seed in range(200)]
    elsewhere = sum(names == {"car", "bird"} for names in asked)
    assert all(names in ({"cat", "dog"}, {"car", "bird"}) for names in asked)
    assert 10 < elsewhere < 45  # half of a quarter of 200 is 25
