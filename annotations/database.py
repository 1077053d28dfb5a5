"""The store: opens the database, and hands out one unit of work at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.orm import Session

from annotations.errors import DatabaseRefused
from annotations.migrations import HEAD
from annotations.sqlite import sqlite_engine

QUICK_CHECK_LIMIT_BYTES = 16 * 2**20
"""Larger files are not read through on opening (it would take seconds); `Store.check` does it on request."""


class Store:
    """One database: many readers, one writer at a time in this process, other processes welcome."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing_engine = engine.execution_options(writing=True)
        self._writer = threading.Lock()
        self._writer_thread: int | None = None

    @classmethod
    def open(cls, url_or_path: str | Path) -> "Store":
        """Open a database, made or brought up to date when needed.

        Args:
            url_or_path: a file for SQLite, or any SQLAlchemy URL.

        Raises:
            DatabaseRefused: an unsound SQLite, a damaged or foreign file, or one from a newer Groundwork.
        """
        url = _url(url_or_path)
        engine = _engine(url)
        store = cls(engine)
        try:
            with _plain_errors(url):
                _quick_check(engine)
                store._bring_up_to_date()
        except BaseException:
            engine.dispose()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def url(self) -> URL:
        """Where the database is."""
        return self._engine.url

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One unit of work: committed, and so safely on disk, when the block ends; undone when it raises.

        Rows stay readable after the block, as they were committed.

        Raises:
            DatabaseRefused: the disk is full or failing, or another process wrote for too long; nothing was changed.
        """
        if self._writer_thread == threading.get_ident():
            raise RuntimeError("writing() inside writing(): pass the session on instead.")
        with self._writer, _plain_errors(self.url):
            self._writer_thread = threading.get_ident()
            try:
                with Session(self._writing_engine, expire_on_commit=False) as session, session.begin():
                    session.connection()  # take the write lock now, not at the first flush
                    yield session
            finally:
                self._writer_thread = None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent view of the data; never waits for a writer, and keeps nothing that is changed in it."""
        with _plain_errors(self.url), Session(self._engine, autoflush=False) as session:
            yield session

    def check(self) -> list[str]:
        """Read the whole database through; one line for each fault found, none when it is sound (SQLite only)."""
        if self._engine.dialect.name != "sqlite":
            return []
        with _plain_errors(self.url), self._engine.connect() as connection:
            lines = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
            orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        faults = [line for line in lines if line != "ok"]
        return faults + [f"Row {row[1]} of {row[0]} points to a missing row of {row[2]}." for row in orphans]

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def _bring_up_to_date(self) -> None:
        with self._engine.connect() as connection:
            if _revision(connection) == HEAD:
                return
        from annotations.migrations.upgrade import upgrade  # alembic costs a tenth of a second: only when needed

        with self._writing_engine.begin() as connection:
            found = _revision(connection)  # again, now under the write lock: another process may have been first
            if found != HEAD:
                upgrade(connection, found)


def _url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        path = Path(url_or_path).expanduser().absolute()
        return URL.create("sqlite", database=str(path))
    try:
        return make_url(url_or_path)
    except ArgumentError as error:
        raise DatabaseRefused(f"{url_or_path!r} is not a database URL. Give a file or sqlite:///FILE.") from error


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = sqlite_engine(url)
        parent = Path(url.database or "").parent
        if not parent.is_dir():
            raise DatabaseRefused(f"The folder {str(parent)!r} for the database does not exist. Make it first.")
        return engine
    try:
        return create_engine(url, pool_pre_ping=True)
    except (ImportError, ArgumentError) as error:
        raise DatabaseRefused(f"No driver for {url.drivername!r}: {error}. Install it with pip.") from error


def _revision(connection: Connection) -> str | None:
    """The migration a database stands at; None for an empty one."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return str(row[0]) if row else None
    if tables:
        raise DatabaseRefused(f"{_name(connection.engine.url)} is not Groundwork's database. Name another file.")
    return None


def _quick_check(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return
    path = Path(engine.url.database or "")
    if not path.exists() or path.stat().st_size > QUICK_CHECK_LIMIT_BYTES:
        return
    with engine.connect() as connection:
        fault = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if fault != "ok":
        raise DatabaseRefused(f"{_name(engine.url)} is damaged ({fault}). Restore it from a backup.")


def _name(url: URL) -> str:
    return repr(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


@contextmanager
def _plain_errors(url: URL) -> Iterator[None]:
    """Faults of the database itself become one line; broken rules (IntegrityError) stay what they are."""
    try:
        yield
    except DatabaseError as error:
        reason = str(error.orig).splitlines()[0] if error.orig else ""
        advice = next((line for part, line in _ADVICE.items() if part in reason), None)
        if advice is None:
            raise
        raise DatabaseRefused(f"{_name(url)}: {reason}. {advice}") from error


_ADVICE = {
    "is full": "Nothing of this change was saved: free some space, then try again.",
    "is locked": "Another process has been writing for too long: try again.",
    "disk I/O error": "Nothing of this change was saved: free some space if the disk is full, else check it.",
    "not a database": "Name another file.",
    "malformed": "The file is damaged: restore it from a backup.",
    "readonly": "Make the file and its folder writable.",
    "unable to open": "Check that the path is a file in a folder you may write to.",
    "could not connect": "Check the address and that the server runs.",
    "connection failed": "Check the address and that the server runs.",
}
