from pathlib import Path

import pytest

from tests.tiny_phrase_detectors import KINDS, Kind, save_tiny_phrase_detector


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    """A tiny checkpoint of each kind; nobody changes them."""
    return {kind: save_tiny_phrase_detector(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}
