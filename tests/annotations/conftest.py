"""A store on a fresh file, and a dataset with one image in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from annotations.database import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "groundwork.db") as opened:
        yield opened
