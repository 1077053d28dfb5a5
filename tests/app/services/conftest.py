"""Services over a workspace of their own, with a tiny random detector in the real checkpoint format."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.importers import import_path
from annotations.queries import dataset_by_name
from app.services import Services, opened
from tests.tiny_checkpoint import save_tiny_checkpoint


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def services(tmp_path: Path, tiny_detector: Path) -> Iterator[Services]:
    with opened(tmp_path / "workspace", detector=str(tiny_detector)) as services:
        yield services


@pytest.fixture
def dataset_id(services: Services, tmp_path: Path) -> int:
    """A dataset "photos" of four noisy images of 120 x 90 pixels, the last of them truncated after its import."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        Image.fromarray(rng.integers(0, 255, (90, 120, 3), np.uint8)).save(folder / f"{index}.png")
    import_path(services.store, "photos", folder)
    broken = folder / "3.png"
    broken.write_bytes(broken.read_bytes()[:500])
    with services.store.reading() as session:
        return dataset_by_name(session, "photos").id
