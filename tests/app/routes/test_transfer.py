"""Imports, uploads and exports over HTTP."""

import io
import time
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from tests.app.workbench import Bench


def ended(bench: Bench, job_id: str) -> dict[str, Any]:
    """A job's last state."""
    for _ in range(12_000):  # ten minutes: a busy machine is slow, not wrong
        job: dict[str, Any] = bench.client.get(f"/api/jobs/{job_id}").json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError(f"The job has not ended: {job}")


def jpeg(color: int = 100) -> bytes:
    """A small picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), color, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def drawn(bench: Bench) -> None:
    """One annotation on the first image."""
    category = bench.client.post(f"/api/datasets/{bench.dataset_id}/categories", {"name": "<b>apple</b>"}).json()["id"]
    item = {"id": str(uuid4()), "category_id": category, "xyxy": [1, 2, 11, 12], "mask": None}
    edit = {"op_id": str(uuid4()), "kind": "create", "items": [item]}
    assert bench.client.post(f"/api/images/{bench.image_ids[0]}/edits", edit).status == 200


def test_a_folder_is_imported_and_what_is_no_image_is_listed_with_its_reason(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "good.jpg").write_bytes(jpeg())
    (folder / "${bad}.jpg").write_bytes(b"<script>alert(1)</script>")
    answer = bench.client.post("/api/datasets/import", {"name": "more", "path": str(folder)})
    job = ended(bench, answer.json()["job"])
    assert (job["state"], job["result"]["images"]) == ("done", 1)
    (skipped,) = job["skipped"]
    assert skipped["what"] == "${bad}.jpg"
    assert "not an image" in skipped["reason"]
    names = {row["id"]: row["name"] for row in bench.client.get("/api/datasets").json()["datasets"]}
    assert names[job["result"]["dataset_id"]] == "more"


def test_an_import_of_nothing_fails_in_one_line(bench: Bench, tmp_path: Path) -> None:
    for path in (str(tmp_path / "nowhere"), "\0", "relative/nowhere"):
        job = ended(bench, bench.client.post("/api/datasets/import", {"name": "more", "path": path}).json()["job"])
        assert job["state"] == "failed"
        assert job["error"] and "\n" not in job["error"] and "Traceback" not in job["error"]


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "x"}, {"name": "x", "path": ""}, {"name": "x", "path": "/", "format": "pickle"}, {"path": "/"}],
)
def test_a_half_import_is_refused(bench: Bench, body: object) -> None:
    answer = bench.client.post("/api/datasets/import", body)
    assert (answer.status, list(answer.json())) == (422, ["error"])


def test_an_uploaded_picture_becomes_an_image(bench: Bench) -> None:
    answer = bench.client.upload(bench.dataset_id, "holiday.jpg", jpeg())
    assert answer.status == 200, answer.body
    pixels = bench.client.get(f"/api/images/{answer.json()['image_id']}/pixels")
    assert (pixels.status, pixels.headers["content-type"]) == (200, "image/jpeg")


def test_an_upload_never_leaves_the_folder_of_uploads(bench: Bench, tmp_path: Path) -> None:
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    names = [
        "../../evil.jpg",
        "/etc/cron.d/evil.jpg",
        "..\\..\\evil.jpg",
        "C:\\evil.jpg",
        "evil.jpg::$DATA.jpg",
        "nul\0.jpg",
        "-rf.jpg",
        "~/.ssh/evil.jpg",
        "${HOME}.jpg",
        "x" * 900 + ".jpg",
        ".jpg",
        "con.jpg",
        "e\u0301vil.jpg",
    ]
    for index, name in enumerate(names):
        answer = bench.client.upload(bench.dataset_id, name, jpeg(index))
        assert answer.status in (200, 422), (name, answer.body)
    uploads = bench.services.workspace.uploads
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    strays = [path for path in made if not path.is_relative_to(uploads) and not path.name.startswith("groundwork.db")]
    assert strays == []
    assert {path.suffix for path in made if path.is_relative_to(uploads)} == {".jpg"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.html", b"<script>"),
        ("a.svg", b"<svg onload=alert(1)>"),
        ("a.jpg", b"<html>"),
        ("a.jpg", b""),
        ("a", jpeg()),
    ],
)
def test_what_is_no_picture_is_not_kept(bench: Bench, name: str, content: bytes) -> None:
    answer = bench.client.upload(bench.dataset_id, name, content)
    assert (answer.status, list(answer.json())) == (422, ["error"])
    assert not [path for path in bench.services.workspace.uploads.rglob("*") if path.is_file()]


def test_an_upload_into_no_dataset_is_not_kept(bench: Bench) -> None:
    assert bench.client.upload(999, "a.jpg", jpeg()).status == 404
    assert not [path for path in bench.services.workspace.uploads.rglob("*") if path.is_file()]


def test_an_export_is_written_counted_and_comes_as_a_zip(bench: Bench) -> None:
    drawn(bench)
    job = ended(bench, bench.client.post(f"/api/datasets/{bench.dataset_id}/export", {"images": "copy"}).json()["job"])
    assert job["state"] == "done", job["error"]
    result = job["result"]
    assert (result["images"], result["annotations"], result["categories"]) == (2, 1, 1)
    assert Path(result["folder"]).parent == bench.services.workspace.exports
    answer = bench.client.get(f"/api/exports/{result['name']}/zip")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
    assert "annotations.json" in zipfile.ZipFile(io.BytesIO(answer.body)).namelist()


@pytest.mark.parametrize("name", ["..", ".", "nothing", "..%2f..", "%2e%2e", "../../workspace", ".hidden", "x\\..\\.."])
def test_only_an_export_can_be_downloaded(bench: Bench, name: str) -> None:
    (bench.services.workspace.exports / ".hidden").mkdir()
    answer = bench.client.get(f"/api/exports/{name}/zip")
    assert (answer.status, list(answer.json())) == (404, ["error"])


@pytest.mark.parametrize("body", [{"format": "coco", "images": "move"}, {"masks": "paint"}, {"output": "/etc"}])
def test_a_wrong_export_is_refused(bench: Bench, body: object) -> None:
    assert bench.client.post(f"/api/datasets/{bench.dataset_id}/export", body).status == 422
    assert bench.client.post("/api/datasets/99/export", {}).status == 404
    assert not list(bench.services.workspace.exports.iterdir())
