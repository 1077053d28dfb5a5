"""The command line as scripts use it: names, exit codes, one line for each mistake."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image

from annotations.categories import add_category
from annotations.edits import Edit, apply_edit
from annotations.importers import import_path
from annotations.predictions import NewPrediction, save_predictions
from annotations.queries import dataset_by_name, image_shapes, images_page
from app.credentials import LOCAL
from app.services import opened
from tests.training.worlds.font import needs_font

ROOT = Path(__file__).resolve().parents[2]


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "launch.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={"PATH": "/usr/bin:/bin", "GROUNDWORK_NO_VENV": "1", "HOME": "/nonexistent"},
    )


@pytest.mark.parametrize(
    "command",
    ["serve", "test", "detect", "import", "label", "accept", "train", "evaluate", "export", "models", "scenes"],
)
def test_every_command_explains_itself(command: str) -> None:
    answer = launch(command, "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith("usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["detect"],
        ["detect", "a.jpg", "--prompt", "cat.", "--threshold", "1.5"],
        ["train", "--dataset", "x", "--steps", "0"],
        ["serve", "--port", "99999"],
        ["export", "--dataset", "x", "--format", "parquet", "--output", "o"],
        ["accept", "--dataset", "x", "--unheard-of"],
        ["evaluate"],
        ["evaluate", "--dataset", "x", "--split", "all"],
        ["evaluate", "--dataset", "x", "--layout", "coco", "--annotations", "a.json"],
        ["evaluate", "--layout", "coco"],
        ["evaluate", "--layout", "coco", "--annotations", "a.json", "--split", "val"],
        ["evaluate", "--dataset", "x", "--images", "pictures"],
        ["evaluate", "--layout", "coco", "--annotations", "a.json", "--parallel"],
        ["evaluate", "--layout", "d3", "--annotations", "a.json", "--thirteen"],
        ["models", "promote"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    answer = launch(*arguments)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr


def test_an_unknown_dataset_is_one_line_and_exits_with_1(tmp_path: Path) -> None:
    answer = launch("export", "--workspace", str(tmp_path), "--dataset", "nope", "--output", str(tmp_path / "out"))
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "'nope'" in answer.stderr


@pytest.mark.parametrize("prompt", ["", " ", "...", "?!.", ". ."])
def test_a_prompt_that_says_nothing_is_one_line(prompt: str, tmp_path: Path) -> None:
    answer = launch("detect", "a.jpg", "--workspace", str(tmp_path), "--prompt", prompt)
    assert answer.returncode == 1
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_snapshot_that_cannot_be_exported_is_said_and_not_passed_over(tmp_path: Path) -> None:
    answer = launch(
        "export", "--workspace", str(tmp_path), "--dataset", "x", "--output", str(tmp_path / "out"), "--snapshot", "1"
    )
    assert answer.returncode == 1
    assert "--snapshot is not there yet" in answer.stderr


def test_a_workspace_where_a_file_stands_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    answer = launch("models", "--workspace", str(tmp_path / "taken"), "--json")
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "there is a file of that name" in answer.stderr
    assert (tmp_path / "taken").read_text() == "mine"


def test_an_import_of_which_nothing_was_usable_fails_and_still_lists_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    arguments = ("import", str(tmp_path / "a.png"), "--workspace", str(tmp_path / "w"), "--dataset", "d")
    answer = launch(*arguments, "--json")
    assert answer.returncode == 1
    assert [row["what"] for row in json.loads(answer.stdout)["skipped"]] == ["a.png"]
    assert len(answer.stderr.strip().splitlines()) == 1
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert launch(*arguments).returncode == 0
    assert "0 images (1 more were there already)" in launch(*arguments).stdout


def test_an_export_or_a_labelling_without_any_original_fails_and_still_lists_why(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    dataset = ("--workspace", str(tmp_path / "w"), "--dataset", "d")
    assert launch("import", str(tmp_path / "a.png"), *dataset).returncode == 0
    (tmp_path / "a.png").unlink()
    for command in (("export", "--output", str(tmp_path / "out")), ("label", "--prompt", "cat.")):
        answer = launch(*command, *dataset, "--json")
        assert answer.returncode == 1
        assert [row["what"] for row in json.loads(answer.stdout)["skipped"]] == ["a.png"]
        assert "put the originals back" in answer.stderr
    answer = launch("label", "--task", "refer", *dataset)
    assert (answer.returncode, answer.stderr) == (1, "--task refer needs a text: give it with --prompt.\n")
    answer = launch("label", "--task", "ground", "--prompt", " . ", *dataset)
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)


def test_what_the_command_line_accepts_can_be_undone_on_the_page(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    workspace = tmp_path / "workspace"
    with opened(workspace) as services:
        import_path(services.store, "photos", tmp_path / "a.png")
        with services.store.writing() as session:
            dataset_id = dataset_by_name(session, "photos").id
            (image,) = images_page(session, dataset_id).items
            cat = add_category(session, dataset_id, "cat").id
            save_predictions(
                session, image.id, [NewPrediction(cat, (1, 1, 20, 20), 0.9)], checkpoint="c", prompt="cat."
            )
    assert launch("accept", "--workspace", str(workspace), "--dataset", "photos").returncode == 0
    with opened(workspace) as services:
        with services.store.writing() as session:
            apply_edit(session, Edit(uuid4(), "undo", image.id, LOCAL))
        with services.store.reading() as session:
            shapes = image_shapes(session, image.id, LOCAL)
    assert (shapes["annotations"], len(shapes["predictions"])) == ([], 1)


@needs_font
def test_scenes_are_written_once_and_counted(tmp_path: Path) -> None:
    answer = launch("scenes", "--output", str(tmp_path / "scenes"), "--images", "2", "--json")
    rows = json.loads((tmp_path / "scenes" / "annotations.json").read_text(encoding="utf-8"))["annotations"]
    document = json.loads(answer.stdout)
    assert (document["images"], document["annotations"]) == (2, len(rows))
    again = launch("scenes", "--output", str(tmp_path / "scenes"), "--images", "2")
    assert (again.returncode, len(again.stderr.strip().splitlines())) == (1, 1)


@needs_font
def test_scenes_with_captions_are_imported_with_all_that_is_said_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "told"
    answer = launch("scenes", "--output", str(folder), "--images", "2", "--captions", "--json")
    counts = json.loads(answer.stdout)
    lines = [json.loads(line) for line in (folder / "annotations.odvg.jsonl").read_text(encoding="utf-8").splitlines()]
    said = [line["grounding"]["expression"] for line in lines if "grounding" in line]
    assert (counts["captions"], counts["expressions"]) == (said.count(False), said.count(True))
    words = ("import", str(folder / "annotations.odvg.jsonl"), "--dataset", "told", "--workspace", str(tmp_path / "w"))
    imported = json.loads(launch(*words, "--json").stdout)
    assert (imported["images"], imported["annotations"], imported["captions"]) == (2, counts["annotations"], len(said))
    again = launch(*words)
    assert again.stdout.startswith("told: 0 images (2 more were there already), 0 annotations, 0 categories; 0 skipped")
