"""The store keeps what it acknowledged, and refuses what it could not keep."""

import logging
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, select, text
from sqlalchemy.dialects import registry
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.schema import CreateTable

from annotations.database import Store
from annotations.errors import DatabaseRefused
from annotations.migrations import HEAD
from annotations.migrations.upgrade import alembic_config
from annotations.models import Base, Dataset, EditLog
from annotations.sqlite import is_sound_sqlite, refuse_unsound_sqlite
from tests.annotations.makers import edit_log_row

ROOT = Path(__file__).parents[2]


def test_models_and_migrations_agree(store: Store) -> None:
    with store.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_constraints_of_models_and_migrations_agree(store: Store, tmp_path: Path) -> None:
    # Alembic does not compare CHECK constraints, so the names found in the two schemas are.
    def checks(session_text: str) -> set[str]:
        return {line.split('"')[0].split()[0] for line in session_text.split("CONSTRAINT ")[1:]}

    with store.reading() as session:
        migrated = session.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all()
    by_name = {name: checks(sql) for name, sql in migrated}
    for table in Base.metadata.sorted_tables:
        wanted = checks(str(CreateTable(table).compile(create_engine("sqlite://"))))
        assert by_name[table.name] == wanted, table.name


def test_head_names_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 40, 1), False),  # Debian 12
        ((3, 44, 5), False),
        ((3, 44, 6), True),  # repaired backport
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),  # repaired backport
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_only_sqlite_libraries_without_the_wal_reset_bug_are_sound(version: tuple[int, int, int], sound: bool) -> None:
    assert is_sound_sqlite(version) is sound


def test_an_unsound_sqlite_is_refused_in_one_line_with_the_way_out() -> None:
    with pytest.raises(DatabaseRefused, match=r"^SQLite 3\.40\.1 can lose saved edits .*pip install [^\n]*$"):
        refuse_unsound_sqlite((3, 40, 1))


def test_each_connection_is_durable_and_keeps_foreign_keys(store: Store) -> None:
    with store.reading() as one, store.reading() as two, store.writing() as three:
        for session in (one, two, three):
            found = [session.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("synchronous", "foreign_keys")]
            assert found == [2, 1]
            assert session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_a_unit_of_work_that_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyError), store.writing() as session:
        session.add(Dataset(name="lost"))
        session.flush()
        raise KeyError
    with store.reading() as session:
        assert session.scalars(select(Dataset)).all() == []


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    with store.writing() as writer:
        writer.add(Dataset(name="cells"))
        writer.flush()
        with store.reading() as reader:
            assert reader.scalars(select(Dataset)).all() == []  # not committed yet, so not seen
    with store.reading() as reader:
        assert [dataset.name for dataset in reader.scalars(select(Dataset))] == ["cells"]


def test_writers_of_one_process_take_turns(store: Store) -> None:
    def add(number: int) -> None:
        with store.writing() as session:
            session.add(Dataset(name=f"dataset {number}"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as session:
        assert len(session.scalars(select(Dataset)).all()) == 8


def test_rows_stay_readable_after_their_unit_of_work(store: Store) -> None:
    with store.writing() as session:
        dataset = Dataset(name="cells")
        session.add(dataset)
    assert (dataset.id, dataset.name) == (1, "cells")


def test_a_full_disk_is_one_line_and_nothing_is_lost(store: Store) -> None:
    with store.writing() as session:
        session.add(Dataset(name="kept"))
    with (
        pytest.raises(DatabaseRefused, match=r"disk is full\. Nothing of this change was saved"),
        store.writing() as session,
    ):
        pages = session.execute(text("PRAGMA page_count")).scalar_one()
        session.execute(text(f"PRAGMA max_page_count = {pages}"))
        session.add_all(Dataset(name=f"dataset {n}", prompt="x" * 10_000) for n in range(10))
    with store.writing() as session:
        session.execute(text("PRAGMA max_page_count = 1000000"))
        session.add(Dataset(name="after"))
    with store.reading() as session:
        assert sorted(dataset.name for dataset in session.scalars(select(Dataset))) == ["after", "kept"]


def test_writing_inside_writing_is_a_mistake_that_is_named(store: Store) -> None:
    with store.writing(), pytest.raises(RuntimeError, match="pass the session on"), store.writing():
        pass


@pytest.mark.slow
def test_several_processes_open_a_new_database_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from annotations.database import Store; from annotations.models import Dataset\n"
        "with Store.open(sys.argv[1]) as store, store.writing() as session: session.add(Dataset(name=sys.argv[2]))"
    )
    path = tmp_path / "shared.db"
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", script, str(path), f"by {n}"], cwd=ROOT)
        for n in range(3)
    ]
    assert [process.wait(timeout=600) for process in processes] == [0, 0, 0]
    with Store.open(path) as store, store.reading() as session:
        assert {dataset.name for dataset in session.scalars(select(Dataset))} == {"by 0", "by 1", "by 2"}
        assert store.check() == []


def test_opening_an_existing_database_leaves_logging_alone(tmp_path: Path) -> None:
    handlers = list(logging.getLogger().handlers)
    Store.open(tmp_path / "a.db").close()
    Store.open(str(tmp_path / "a.db")).close()
    assert logging.getLogger().handlers == handlers


@pytest.mark.parametrize("statement", ["UPDATE edit_log SET who = 'x'", "DELETE FROM edit_log"])
def test_the_edit_log_only_grows(store: Store, statement: str) -> None:
    with store.writing() as session:
        session.add(edit_log_row())
    with pytest.raises(IntegrityError, match="append-only"), store.writing() as session:
        session.execute(text(statement))
    with store.reading() as session:
        assert len(session.scalars(select(EditLog)).all()) == 1


def test_rules_of_the_schema_have_names(store: Store) -> None:
    with pytest.raises(DatabaseError, match="dataset_next_coco_id_is_positive"), store.writing() as session:
        session.add(Dataset(name="x", next_coco_id=0))


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"these are my notes " * 100)
    with pytest.raises(DatabaseRefused, match="not a database"):
        Store.open(path)
    assert path.read_bytes() == b"these are my notes " * 100


def test_the_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE song (title)")
    connection.close()
    with pytest.raises(DatabaseRefused, match="not Groundwork's database"):
        Store.open(path)


def test_a_database_of_a_newer_version_is_refused(store: Store) -> None:
    with store.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseRefused, match="newer Groundwork"):
        Store.open(str(store.url.database))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "nonsense://x y", "/nowhere/at/all/groundwork.db"])
def test_unusable_urls_are_refused_in_one_line(url: str) -> None:
    with pytest.raises(DatabaseRefused) as refusal:
        Store.open(url)
    assert "\n" not in str(refusal.value)


def test_other_databases_are_offered_the_same_tables_without_the_sqlite_specifics() -> None:
    postgresql = registry.load("postgresql.psycopg")()
    for table in Base.metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql))
    with pytest.raises(DatabaseRefused, match="No driver for 'postgresql\\+nodriver'"):
        Store.open("postgresql+nodriver://localhost/x")
