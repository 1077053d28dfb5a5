from collections.abc import Iterator
from pathlib import Path

import pytest

from annotations.database import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "groundwork.db")
    yield made
    made.close()
