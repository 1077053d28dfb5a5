"""What Teach shows before a run: what is wrong with the labels, and the samples."""

import io
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image

from annotations.categories import ensure_categories
from annotations.edits import Edit, apply_edit
from tests.app.workbench import Bench, workbench
from tests.tiny_checkpoint import save_tiny_checkpoint


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), backbone="resnet")


def label(bench: Bench, names: list[str]) -> None:
    """A box of each name on each image."""
    with bench.services.store.writing() as session:
        rows = ensure_categories(session, bench.dataset_id, [(name, ()) for name in names])
        for image_id in bench.image_ids:
            items = tuple({"id": str(uuid4()), "category_id": row.id, "xyxy": [5, 5, 25, 20]} for row in rows)
            apply_edit(session, Edit(uuid4(), "create", image_id, "ada", items))


def test_problems_of_the_labels_are_told_before_a_run(tmp_path: Path) -> None:
    with workbench(tmp_path) as bench:
        label(bench, ["cat", "Cat"])
        answer = bench.client.get(f"/api/datasets/{bench.dataset_id}/teachable").json()
        assert "1 phrase that describes two categories: 'cat (cat, Cat)'" in answer["reasons"][0]
        assert any("not marked as done" in line for line in answer["warnings"])
        assert bench.client.post(f"/api/datasets/{bench.dataset_id}/train", {}).status == 422


def test_samples_are_one_picture(tmp_path: Path, detector: Path) -> None:
    with workbench(tmp_path, detector=str(detector)) as bench:
        label(bench, ["cat", "dog"])
        answer = bench.client.get(f"/api/datasets/{bench.dataset_id}/preview", mode="closed")
        assert answer.status == 200
        with Image.open(io.BytesIO(answer.body)) as sheet:
            assert sheet.format == "PNG"
            assert sheet.width < sheet.height  # two columns, three rows


def test_why_there_are_no_samples_is_one_line(tmp_path: Path, detector: Path) -> None:
    with workbench(tmp_path, detector=str(detector)) as bench:
        answer = bench.client.get(f"/api/datasets/{bench.dataset_id}/preview")
        assert answer.status == 422
        assert "no category" in answer.json()["error"]
        assert bench.client.get(f"/api/datasets/{bench.dataset_id}/preview", mode="evil").status == 422
        assert bench.client.get("/api/datasets/99/preview").status == 404
