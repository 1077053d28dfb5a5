from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine.grounding import GroundingDetector
from engine.preprocessing import Preprocessing
from tests.tiny_checkpoint import save_tiny_checkpoint, tiny_model, tiny_tokenizer


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices are done before a second thread has started."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_detector() -> GroundingDetector:
    return GroundingDetector(tiny_model(), tiny_tokenizer(), Preprocessing(96, 160), name="tiny")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))
