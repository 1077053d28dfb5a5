"""The pictures that the app ships, and how they are chosen."""

import io
import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from engine.captions import caption_of
from engine.detector import Detector
from engine.ontology import Ontology
from tests.training.worlds.font import needs_font
from tests.training.worlds.saying import Says
from training.worlds.examples import (
    EXAMPLES,
    choose,
    example_scene,
    main,
    right_answers,
    write_examples,
)
from training.worlds.verdicts import Verdict

SHIPPED = Path(__file__).parents[3] / "app" / "examples"
ROWS: list[dict[str, Any]] = json.loads((SHIPPED / "examples.json").read_text(encoding="utf-8"))["images"]


def test_the_shipped_list_names_the_shipped_pictures() -> None:
    listed = {row["file"] for row in ROWS}
    assert listed == {f"scenes/{path.name}" for path in (SHIPPED / "scenes").iterdir()}
    assert all((SHIPPED / name).stat().st_size < 60_000 for name in listed)


def test_each_way_to_ask_has_its_examples() -> None:
    assert [row["task"] for row in ROWS] == ["detect", "detect", "ground", "ground", "refer", "refer"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["title"]))
def test_the_answers_are_in_the_words_of_the_prompt(row: dict[str, Any]) -> None:
    names = {answer["name"] for answer in row["answers"]}
    if row["task"] == "detect":
        assert names == set(Ontology.from_prompt(row["prompt"]).names)
    elif row["task"] == "ground":
        assert names == set(caption_of(row["prompt"]).phrases)
    else:
        assert [answer["name"] for answer in row["answers"]] == [row["prompt"]]


@needs_font
def test_the_shipped_pictures_are_the_rendered_ones(tmp_path: Path) -> None:
    shutil.copy(SHIPPED / "examples.json", tmp_path)
    write_examples(tmp_path)
    mine, shipped = tmp_path / "examples.json", SHIPPED / "examples.json"
    assert mine.read_text(encoding="utf-8") == shipped.read_text(encoding="utf-8")
    for row in ROWS:
        new, old = (np.asarray(Image.open(io.BytesIO((at / row["file"]).read_bytes()))) for at in (tmp_path, SHIPPED))
        # Other releases of Pillow and OpenCV draw and compress a little differently.
        assert np.abs(new.astype(int) - old).mean() < 4


@needs_font
def test_a_scene_without_a_second_one_is_no_riddle() -> None:
    example = next(each for each in EXAMPLES if each.task == "refer")
    for seed in range(60):
        scene = example_scene(example, seed)
        answers = right_answers(example, scene)
        if answers is not None:
            first = scene.labels[(scene.boxes_xyxy == np.array(answers[0].xyxy, np.float32)).all(axis=1)][0]
            assert (scene.labels == first).sum() > 1


@needs_font
def test_the_choice_is_a_scene_with_an_answer_whatever_the_detector_knows() -> None:
    seed, best = choose(EXAMPLES[1], cast(Detector, Says([])), tries=1)
    assert best == Verdict(-EXAMPLES[1].count, 0.0)
    assert right_answers(EXAMPLES[1], example_scene(EXAMPLES[1], seed)) is not None


@needs_font
def test_what_stands_in_the_way_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], ["--choose", str(tmp_path / "nowhere")]):
        assert main([str(tmp_path / "examples"), *options]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
