import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import launch
from engine.checkpoints import load_grounding_detector
from tests.tiny_checkpoint import save_tiny_checkpoint
from tests.training.coloured_squares import squares
from training.benchmarks.race import Curve
from training.benchmarks.rows import read_rows
from training.benchmarks.starter_tuning import TuningBenchmark, ratio_of_steps, run

QUICK = ("validate_every=1", "batch_size=2")


def test_the_ratio_is_of_the_steps_to_the_best_of_random_weights() -> None:
    random = Curve(steps=[0, 25, 50, 75], AP50=[0.0, 0.1, 0.3, 0.2])  # its best, 0.3, after 50 steps
    assert ratio_of_steps(Curve(steps=[0, 25, 50], AP50=[0.0, 0.3, 0.5]), random) == 0.5
    assert ratio_of_steps(Curve(steps=[0, 25], AP50=[0.4, 0.5]), random) == 0  # better before its first step
    assert ratio_of_steps(Curve(steps=[0, 25], AP50=[0.0, 0.2]), random) is None
    assert ratio_of_steps(random, Curve(steps=[0, 25], AP50=[0.0, 0.0])) is None  # which learnt nothing


def _data(root: Path, images: int = 8) -> Path:
    """Pictures of squares with COCO labels in root/squares."""
    folder = root / "squares"
    made = squares(folder / "images", images)
    boxes = [
        {"image_id": number, "category_id": int(class_id), "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for number, image in enumerate(made)
        for (x1, y1, x2, y2), class_id in zip(image.boxes_xyxy.tolist(), image.category_ids.tolist(), strict=True)
    ]
    content = {
        "images": [
            {"id": number, "file_name": image.file_name, "width": image.width, "height": image.height}
            for number, image in enumerate(made)
        ],
        "annotations": [{"id": number, **box} for number, box in enumerate(boxes)],
        "categories": [{"id": 0, "name": "blue ball"}, {"id": 1, "name": "red car"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return root


@pytest.mark.slow
def test_both_starts_take_the_same_steps_and_a_run_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    tiny = save_tiny_checkpoint(tmp_path / "tiny", backbone="resnet")
    output, said = tmp_path / "runs.jsonl", list[str]()
    benchmark = TuningBenchmark(_data(tmp_path), tiny, 2, 0, 1, output, ("squares",), QUICK)
    document = run(benchmark, said.append)
    found = document["squares"]
    assert found["steps"] == 2
    assert found["starter"]["curve"]["steps"] == found["random"]["curve"]["steps"] == [0, 1, 2]
    assert {"AP50", "minutes", "steps_ratio", "random_AP50"} <= set(found)
    assert said
    said.clear()
    assert run(benchmark, said.append) == document
    assert said == []
    assert len(output.read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.slow
def test_runs_of_several_seeds_are_compared_by_their_means(tmp_path: Path) -> None:
    tiny = save_tiny_checkpoint(tmp_path / "tiny", backbone="resnet")
    output = tmp_path / "runs.jsonl"
    two = TuningBenchmark(_data(tmp_path), tiny, 1, 3, 2, output, ("squares",), QUICK)
    starter = run(two, lambda line: None)["squares"]["starter"]
    assert [row["seed"] for row in starter["runs"]] == [3, 4]
    for key in ("AP50", "minutes"):
        assert starter[key] == pytest.approx(sum(row[key] for row in starter["runs"]) / 2, abs=1e-4)
    curves = [row["curve"]["AP50"] for row in starter["runs"]]
    assert starter["curve"]["AP50"] == pytest.approx([sum(values) / 2 for values in zip(*curves, strict=True)])
    one = replace(two, seed=4, seeds=1)  # done above
    assert run(one, lambda line: None)["squares"]["starter"]["curve"]["AP50"] == curves[1]
    assert len(output.read_text(encoding="utf-8").splitlines()) == 4


@pytest.mark.slow
def test_other_weights_are_measured_anew_beside_the_same_random_ones(tmp_path: Path) -> None:
    tiny = save_tiny_checkpoint(tmp_path / "tiny", backbone="resnet")
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    weights = load_file(other / "model.safetensors")
    save_file({name: value * 2 for name, value in weights.items()}, other / "model.safetensors", {"format": "pt"})
    output = tmp_path / "runs.jsonl"
    one = TuningBenchmark(_data(tmp_path), tiny, 1, 0, 1, output, ("squares",), QUICK)
    for benchmark in (one, replace(one, detector=other)):
        run(benchmark, lambda line: None)
    assert [row["start"] for row in read_rows(output)] == ["starter", "random", "starter"]


def test_random_weights_have_the_shape_of_the_starter_and_nothing_else_of_it(tmp_path: Path) -> None:
    from annotations.database import Store
    from annotations.importers.doors import import_path
    from training.benchmarks.starter_tuning import random_weights
    from training.dataset import read_dataset

    tiny = save_tiny_checkpoint(tmp_path / "tiny", backbone="resnet")
    with Store.open(tmp_path / "groundwork.db") as store:
        import_path(store, "squares", _data(tmp_path) / "squares")
        with store.reading() as session:
            dataset = read_dataset(session, "squares")
    folder = random_weights(tiny, tmp_path / "random", dataset, seed=3)
    learnt, drawn = (load_grounding_detector(path, device="cpu") for path in (tiny, folder))
    assert drawn.preprocessing == learnt.preprocessing
    assert drawn.tokenizer.get_vocab() == learnt.tokenizer.get_vocab()
    for name, value in drawn.model.state_dict().items():
        assert value.shape == learnt.model.state_dict()[name].shape
        assert torch.isfinite(value).all()
    statistics = [value for name, value in drawn.model.state_dict().items() if name.endswith("running_var")]
    assert statistics and not any(torch.equal(value, torch.ones_like(value)) for value in statistics)


def test_photos_that_are_not_there_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert launch.main(["bench", "starter-tuning", "--data", str(tmp_path)]) == launch.FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert "bccd" in line
    assert "--data" in line
