import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.worlds.font import needs_font
from training.benchmarks import ablations
from training.benchmarks.contenders import Contender, OwnLoss, TransformersLoss
from training.benchmarks.race import Curve, race, steps_ratio
from training.benchmarks.report import SHARED, TrainingBenchmark, run
from training.benchmarks.tasks import Task, batches_of, rendered_scenes


def test_the_ratio_compares_the_steps_to_the_best_of_the_slower_one() -> None:
    slow = Curve(steps=[0, 10, 20, 30], AP50=[0.0, 0.2, 0.5, 0.4])  # its best, 0.5, after 20 steps
    fast = Curve(steps=[0, 10, 20, 30], AP50=[0.0, 0.6, 0.5, 0.7])  # as good after 10
    assert steps_ratio(slow, fast) == 2.0
    assert steps_ratio(fast, slow) is None  # 0.7 is never reached


def _small(task: Task) -> Task:
    return replace(task, train=task.train[:4], validation=task.validation[:2], config=replace(task.config, steps=2))


@needs_font
def test_both_contenders_take_the_same_steps_from_the_same_weights(tmp_path: Path) -> None:
    config = replace(SHARED, batch_size=2)
    task = _small(rendered_scenes(tmp_path, config, train=4, validation=2))
    first, second = task.start(), task.start()
    contenders = {
        "transformers": Contender(first, TransformersLoss(first), task.config),
        "ours": Contender(second, OwnLoss(second, task.config), task.config),
    }
    curves: dict[str, Curve] = {}
    laps = list(race(task, contenders, 1, curves))
    assert [lap.step for lap in laps] == [0, 0, 1, 1, 2, 2]
    assert curves["transformers"].AP50[0] == curves["ours"].AP50[0]
    before = task.start().model.state_dict()
    for detector in (first, second):
        assert any(not torch.equal(value, before[name]) for name, value in detector.model.state_dict().items())


@needs_font
def test_our_loss_begins_with_the_dense_stage_where_one_is_set(tmp_path: Path) -> None:
    config = replace(SHARED, batch_size=2, steps=4, dense_steps=1)
    task = rendered_scenes(tmp_path, config, train=4, validation=2)
    detector = task.start()
    decoder = detector.model.model.decoder.layers[0].fc1.weight
    batches = batches_of(task.train, task.ontology, detector.preprocessing, detector.tokenizer, config)
    contender = Contender(detector, OwnLoss(detector, config), config)
    before = decoder.detach().clone()
    contender.step(1, batches(1))
    assert torch.equal(decoder, before)  # nothing after the proposals learns
    contender.step(2, batches(2))
    assert not torch.equal(decoder, before)


@needs_font
def test_transformers_loss_is_refused_where_its_prompts_differ(tmp_path: Path) -> None:
    config = replace(SHARED, batch_size=2, mode="vocabulary")
    task = _small(rendered_scenes(tmp_path, config, train=4, validation=2))
    detector = task.start()
    contender = Contender(detector, TransformersLoss(detector), task.config)
    with pytest.raises(ValueError, match="one prompt for all"):
        list(race(task, {"transformers": contender}, 1, {}))


@needs_font
def test_the_document_says_what_was_left_out(tmp_path: Path) -> None:
    said: list[str] = []
    benchmark = TrainingBenchmark(tmp_path / "missing", steps=1, every=1, validation=1, side_px=0)
    document = run(benchmark, said.append)
    assert set(document["tasks"]) == {"scenes"}
    assert document["peak_memory_ratio"] is None
    assert document["step_time_ratio"] > 0
    assert any("only the rendered scenes" in line for line in said)


@needs_font
def test_an_ablation_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    said: list[str] = []
    done = {
        "task": "scenes",
        "seed": 0,
        "run_steps": 1,
        "curve": {"steps": [0, 1], "seconds": [0, 1], "AP50": [0.1, 0.2], "AP": [0.0, 0.1]},
    }
    variants = list(ablations.VARIANTS)
    output.write_text("".join(json.dumps({**done, "variant": variant}) + "\n" for variant in variants))
    rows = ablations.run(output, tmp_path, 1, 1, said.append, tasks=["scenes"])
    assert len(rows) == len(variants)
    assert said == []
    assert "| reference | 1 | 0.200 | 0.200 to 0.200 | 0.100 |" in ablations.table(rows, "scenes")
