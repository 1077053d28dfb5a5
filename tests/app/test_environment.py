from pathlib import Path

import pytest

from app import environment


def test_the_fingerprint_changes_with_the_requirements_and_with_those_they_include(tmp_path: Path) -> None:
    base, dev = tmp_path / "requirements.txt", tmp_path / "requirements-dev.txt"
    base.write_text("numpy==1\n")
    dev.write_text("-r requirements.txt\npytest==1\n")
    before = environment.fingerprint(dev)
    base.write_text("numpy==2\n")
    assert environment.fingerprint(dev) != before


def test_the_fingerprint_of_the_same_requirements_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy==1\n")
    assert environment.fingerprint(path) == environment.fingerprint(path)


def test_processes_of_one_training_do_not_set_up_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROUNDWORK_NO_VENV", raising=False)
    monkeypatch.setenv("LOCAL_RANK", "1")
    path = tmp_path / "of-nobody.txt"
    path.write_text("numpy==1\n")
    with pytest.raises(environment.SetupFailed, match="once, then torchrun again"):
        environment.enter(path, [])
