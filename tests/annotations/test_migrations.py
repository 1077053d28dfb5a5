"""A database of an older version keeps all that is in it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from annotations.captions import add_captions, captioned_images, expression
from annotations.database import Store
from annotations.migrations import HEAD
from annotations.migrations.upgrade import alembic_config
from annotations.sqlite import sqlite_engine

NOW = "2026-01-02 03:04:05.000000"
ROWS = (
    f"INSERT INTO dataset VALUES (1, 'pets', 'cat.', 2, '{NOW}')",
    f"INSERT INTO image VALUES (1, 1, '/p/a.png', 'a.png', '{'0' * 64}', 100, 80, 'val', '{NOW}', 3, 0)",
    "INSERT INTO category VALUES (1, 1, 'cat', '#ff0000', 1, 0.5)",
    "INSERT INTO phrase VALUES (1, 1, 'a cat', 0)",
    "INSERT INTO annotation (id, image_id, category_id, x1, y1, x2, y2, source, iscrowd, created_by, created_at)"
    f" VALUES ('{'1' * 32}', 1, 1, 1.5, 2, 11, 12, 'person', 0, 'ada', '{NOW}')",
    "INSERT INTO edit_log (op_id, who, kind, dataset_id, image_id, before, after, revision, skipped, at)"
    f" VALUES ('{'2' * 32}', 'ada', 'create', 1, 1, '{{}}', '{{\"x\": 1}}', 1, 0, '{NOW}')",
)
TABLES = ("dataset", "image", "category", "phrase", "annotation", "edit_log")


def database_0001(path: Path) -> Path:
    """A database as the first version left it, with a row in each table a person fills."""
    engine = sqlite_engine(make_url(f"sqlite:///{path}"))
    with engine.execution_options(writing=True).begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        for row in ROWS:
            connection.execute(text(row))
    engine.dispose()
    return path


def contents(store: Store) -> dict[str, list[Any]]:
    with store.reading() as session:
        return {name: [tuple(row) for row in session.execute(text(f"SELECT * FROM {name}"))] for name in TABLES}


def plain_contents(path: Path) -> dict[str, list[Any]]:
    engine = sqlite_engine(make_url(f"sqlite:///{path}"))
    with engine.connect() as connection:
        found = {name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))] for name in TABLES}
    engine.dispose()
    return found


def test_a_database_of_the_first_version_is_brought_up_to_date_with_all_its_rows(tmp_path: Path) -> None:
    path = database_0001(tmp_path / "old.db")
    before = plain_contents(path)
    assert all(before.values())
    with Store.open(path) as store:
        assert contents(store) == before
        with store.reading() as session:
            assert session.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == HEAD
        with store.writing() as session:
            add_captions(session, 1, [expression("the cat", np.array([[1, 2, 11, 12]], np.float32))])
        with store.reading() as session:
            assert [image.file_name for image in captioned_images(session, 1, "val")] == ["a.png"]
        assert store.check() == []


@pytest.mark.parametrize("statement", ["UPDATE edit_log SET who = 'x'", "DELETE FROM edit_log"])
def test_the_edit_log_still_only_grows_after_an_upgrade(tmp_path: Path, statement: str) -> None:
    with Store.open(database_0001(tmp_path / "old.db")) as store:
        with pytest.raises(IntegrityError, match="append-only"), store.writing() as session:
            session.execute(text(statement))
        assert len(contents(store)["edit_log"]) == 1


def test_captions_can_be_taken_away_again(tmp_path: Path) -> None:
    path = database_0001(tmp_path / "old.db")
    before = plain_contents(path)
    Store.open(path).close()
    engine = sqlite_engine(make_url(f"sqlite:///{path}"))
    with engine.execution_options(writing=True).begin() as connection:
        command.downgrade(alembic_config(connection), "0001")
    engine.dispose()
    assert plain_contents(path) == before
