from pathlib import Path

import pytest

from common.publish import published_file, published_files, published_folder


def test_a_file_appears_whole(tmp_path: Path) -> None:
    with published_file(tmp_path / "new" / "a.json") as aside:
        aside.write_text("{}")
        assert not (tmp_path / "new" / "a.json").exists()
    assert (tmp_path / "new" / "a.json").read_text() == "{}"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_an_error_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(OSError, match="full"), published_file(target) as aside:
        aside.write_text("half")
        raise OSError("full")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_appears_whole_with_what_is_in_it(tmp_path: Path) -> None:
    with published_folder(tmp_path / "export") as aside:
        (aside / "images").mkdir()
        (aside / "images" / "a.txt").write_text("a")
    assert (tmp_path / "export" / "images" / "a.txt").read_text() == "a"


def test_a_folder_is_never_put_over_another(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    with pytest.raises(FileExistsError, match="choose another name"), published_folder(tmp_path / "export"):
        pass


def test_a_failed_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), published_folder(tmp_path / "export") as aside:
        (aside / "a").write_text("a")
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_files_take_their_names_beside_others(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    for name in ("config.json", "notes.txt"):
        (tmp_path / "weights" / name).write_text("old")
    with published_files(tmp_path / "weights") as aside:
        (aside / "config.json").write_text("new")
        (aside / "model").write_text("new")
        assert {file.read_text() for file in (tmp_path / "weights").iterdir()} == {"old"}
    found = {file.name: file.read_text() for file in (tmp_path / "weights").iterdir()}
    assert found == {"config.json": "new", "model": "new", "notes.txt": "old"}
    assert list(tmp_path.iterdir()) == [tmp_path / "weights"]


def test_an_error_leaves_all_files_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("old")
    with pytest.raises(OSError, match="full"), published_files(tmp_path) as aside:
        (aside / "config.json").write_text("new")
        raise OSError("full")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]
