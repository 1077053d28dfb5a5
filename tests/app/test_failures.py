import errno
from pathlib import Path

from app.failures import Refused, explain
from common.images import ImageRefused


def test_our_own_errors_speak_for_themselves_in_one_line() -> None:
    assert explain(Refused("No such\n split.")) == "No such split."
    assert explain(ImageRefused("'a.jpg' is damaged.")) == "'a.jpg' is damaged."


def test_a_full_disk_says_what_to_do() -> None:
    assert "free some space" in explain(OSError(errno.ENOSPC, "No space left on device"))


def test_a_missing_file_is_named() -> None:
    assert explain(FileNotFoundError(errno.ENOENT, "No such file", "/x/a.json")) == (
        "/x/a.json: No such file. Check the path and who may use it."
    )


def test_a_file_in_the_place_of_a_folder_is_named_without_numbers_and_quotes_of_the_system() -> None:
    assert explain(FileExistsError(errno.EEXIST, "File exists", "/x")).startswith("/x: File exists.")
    assert explain(FileExistsError("'/x' already exists: choose another name.")).startswith("'/x' already exists")


def test_a_path_of_any_length_leaves_the_line_readable() -> None:
    assert len(explain(OSError(errno.ENAMETOOLONG, "File name too long", "q" * 4000))) < 300


def test_what_nobody_foresaw_leaves_its_traceback_in_a_file_and_not_on_the_screen() -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        line = explain(error)
    assert "\n" not in line
    path = Path(line.split(" in ")[-1].rstrip("."))
    assert "Traceback" in path.read_text()
    path.unlink()
