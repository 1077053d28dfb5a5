"""A store on a fresh file."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotations.database import Store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "empty.db"
    Store.open(path).close()
    return path


@pytest.fixture
def store(empty_database: Path, tmp_path: Path) -> Iterator[Store]:
    path = shutil.copy(empty_database, tmp_path / "groundwork.db")
    with Store.open(path) as opened:
        yield opened
