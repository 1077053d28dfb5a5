import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from common.images import read_image
from engine.checkpoints import load_grounding_detector
from tests.training.coloured_squares import ONTOLOGY
from tests.training.workspaces import QUICK_SETTINGS, Bench, add_squares, make_bench
from training.job import resume_training, run_training
from training.lora import attached, weights_sha256

LORA = (*QUICK_SETTINGS, "lora_rank=2")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "workspace")
    add_squares(made, train=4, val=2)
    yield made
    made.store.close()


def manifest(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(document["folder"]) / "groundwork.json").read_text())
    return found


def test_the_manifest_names_base_labels_versions_and_every_file(bench: Bench) -> None:
    base = load_grounding_detector(bench.detector, device="cpu")
    document = run_training(bench.store, bench.root, bench.request(steps=1))
    facts, folder = manifest(document), Path(document["folder"])
    assert facts["base_sha256"] == weights_sha256(base.model)
    assert facts["snapshot"] == document["snapshot"]
    assert {"groundwork", "python", "torch", "transformers", "numpy"} <= set(facts["versions"])
    assert set(facts) >= {"commit", "uncommitted", "kept"}
    assert facts["adapter"] is None
    assert facts["sha256"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "groundwork.json"
    }


def test_a_run_with_adapters_publishes_them_merged_and_apart(bench: Bench) -> None:
    """The checkpoint alone is the taught detector; so is the base with the adapter on it."""
    document = run_training(bench.store, bench.root, bench.request(settings=LORA))
    folder, facts = Path(document["folder"]), manifest(document)
    assert facts["adapter"] == "adapter"
    assert "adapter/adapter_model.safetensors" in facts["sha256"]
    merged, base = load_grounding_detector(folder, device="cpu"), load_grounding_detector(bench.detector, device="cpu")
    before = weights_sha256(base.model)
    picture = read_image(bench.root / "images of squares" / "0.png")
    (expected,) = merged.detect([picture], ONTOLOGY, threshold=0)
    with attached(base, folder):
        (found,) = base.detect([picture], ONTOLOGY, threshold=0)
    assert np.allclose(found.xyxy, expected.xyxy, atol=1e-2)
    assert found.confidence is not None
    assert expected.confidence is not None
    assert np.allclose(found.confidence, expected.confidence, atol=1e-5)
    assert weights_sha256(base.model) == before == facts["base_sha256"]
    assert weights_sha256(merged.model) != before


def test_a_run_with_adapters_resumes_to_the_same_end(bench: Bench) -> None:
    expected = run_training(bench.store, bench.root, bench.request(settings=LORA))

    def fail_at_three(line: dict[str, Any]) -> None:
        if line["step"] == 3:
            raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="terminal"):
        run_training(bench.store, bench.root, bench.request(settings=LORA), say=fail_at_three)
    (failed,) = [path for path in (bench.root / "runs").iterdir() if path.name != expected["run"]]
    from uuid import UUID

    document = resume_training(bench.store, bench.root, UUID(failed.name))
    assert document["metrics"] == expected["metrics"]
    for name in ("model.safetensors", "adapter/adapter_model.safetensors", "adapter/heads.safetensors"):
        one, other = (load_file(Path(of["folder"]) / name) for of in (document, expected))
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_equal_labels_have_one_snapshot_in_any_workspace_and_another_once_a_box_moves(
    bench: Bench, tmp_path: Path
) -> None:
    from training.material import Material, load_material, read_material, save_material

    def read(of: Bench) -> Material:
        with of.store.reading() as session:
            return read_material(session, "squares")

    other = make_bench(tmp_path / "elsewhere")
    add_squares(other, train=1, name="first")  # so that ids differ
    add_squares(other, train=4, val=2)
    one, two = read(bench), read(other)
    other.store.close()
    assert one.snapshot_id == two.snapshot_id
    save_material(one, tmp_path / "dataset.json")
    assert load_material(tmp_path / "dataset.json").snapshot_id == one.snapshot_id
    assert json.loads((tmp_path / "dataset.json").read_text())["snapshot"] == one.snapshot_id
    assert one.labels is not None
    first, *rest = one.labels.images
    moved = replace(first, boxes_xyxy=first.boxes_xyxy + 1)
    assert replace(one, labels=replace(one.labels, images=(moved, *rest))).snapshot_id != one.snapshot_id
