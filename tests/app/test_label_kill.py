"""`launch.py label` killed at any moment goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import func, select

from annotations.database import Store
from annotations.importers import import_path
from annotations.models import Look, Prediction
from app.services.workspace import Workspace
from common.sharing import SharedDevice
from tests.tiny_checkpoint import save_tiny_checkpoint

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
IMAGES = 120


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The command that labels a dataset of many images in a workspace of its own."""
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        Image.fromarray(rng.integers(0, 255, (60 + index % 2, 90, 3), np.uint8)).save(photos / f"{index:03}.png")
    workspace = Workspace.open(tmp_path / "workspace")
    with Store.open(workspace.database) as store:
        import_path(store, "photos", photos)
    detector = save_tiny_checkpoint(tmp_path / "tiny")
    options = ("--workspace", str(workspace.root), "--detector", str(detector), "--json")
    return [sys.executable, str(ROOT / "launch.py"), "label", "--dataset", "photos", "--prompt", "cat. dog.", *options]


def looks(workspace: Path) -> dict[int, object]:
    """The images that are done, and when they were."""
    with Store.open(Workspace.open(workspace).database) as store, store.reading() as session:
        rows = session.execute(select(Look.image_id, Look.at))
        return {row.image_id: row.at for row in rows}


def test_labelling_that_is_killed_goes_on_without_doing_an_image_twice(command: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "GROUNDWORK_NO_VENV": "1"}
    workspace = tmp_path / "workspace"
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as killed:
        deadline, device = time.monotonic() + 600, SharedDevice(workspace)
        while True:
            with device.urgent(None):  # it pauses between two pieces while it is looked at, however slow that is
                if len(looks(workspace)) >= 5:
                    os.kill(killed.pid, signal.SIGKILL)
                    break
            assert time.monotonic() < deadline
            assert killed.poll() is None
            time.sleep(0.01)
    before = looks(workspace)
    assert 5 <= len(before) < IMAGES
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=600)
    assert "Traceback" not in finished.stderr
    document = json.loads(finished.stdout)
    after = looks(workspace)
    assert len(after) == document["images"] == IMAGES
    assert document["already"] == len(before)
    assert {image_id: after[image_id] for image_id in before} == before  # not written again
    with Store.open(Workspace.open(workspace).database) as store, store.reading() as session:
        waiting = session.scalar(select(func.count()).select_from(Prediction))
    assert document["predictions"] == waiting
