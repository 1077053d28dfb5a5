from pathlib import Path

import pytest
import torch

from training.errors import StateRefused
from training.state_file import read_state_file, write_state_file

KEYS = frozenset({"step", "model"})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_state_file(tmp_path / "a.pt", {"step": 3, "model": {"weight": torch.arange(3.0)}})
    content = read_state_file(tmp_path / "a.pt", KEYS)
    assert content["step"] == 3
    assert content["model"]["weight"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04 half a file"])
def test_a_broken_file_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dense.pt").write_bytes(content)
    with pytest.raises(StateRefused, match=r"dense\.pt cannot be read"):
        read_state_file(tmp_path / "dense.pt", KEYS)


def test_a_file_with_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "dense.pt")
    with pytest.raises(StateRefused, match="holds no training's state"):
        read_state_file(tmp_path / "dense.pt", KEYS)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"step": 1, "model": Bomb()}, tmp_path / "dense.pt")
    with pytest.raises(StateRefused, match=r"dense\.pt cannot be read"):
        read_state_file(tmp_path / "dense.pt", KEYS)
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_state_file(tmp_path / "dense.pt", KEYS)
