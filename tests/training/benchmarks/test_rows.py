from pathlib import Path

import pytest

from training.benchmarks.rows import RowsRefused, add_row, read_rows


def test_runs_are_read_as_they_were_added(tmp_path: Path) -> None:
    file = tmp_path / "new" / "runs.jsonl"
    assert read_rows(file) == []
    add_row(file, {"AP50": 0.5})
    add_row(file, {"AP50": 0.75, "curve": [1, 2]})
    assert read_rows(file) == [{"AP50": 0.5}, {"AP50": 0.75, "curve": [1, 2]}]


@pytest.mark.parametrize("line", ['{"AP50": 0.', "3"])
def test_a_line_that_is_no_run_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text(f'{{"AP50": 0.5}}\n{line}\n', encoding="utf-8")
    with pytest.raises(RowsRefused, match=r"Line 2 of .*runs\.jsonl"):
        read_rows(file)
    assert file.read_text(encoding="utf-8").splitlines()[1] == line


def test_a_file_that_cannot_be_written_to_is_told_before_any_run(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").mkdir()
    with pytest.raises(OSError, match=r"runs\.jsonl"):
        read_rows(tmp_path / "runs.jsonl")
