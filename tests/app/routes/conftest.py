"""One workspace for each test of the routes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.workbench import Bench, workbench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with workbench(tmp_path) as made:
        yield made
