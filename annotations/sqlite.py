"""What SQLite needs before people's work is trusted to it."""

from typing import Any

import pysqlite3.dbapi2 as pysqlite
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from annotations.errors import DatabaseRefused

BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another process before it gives up."""

_SYNCHRONOUS_FULL = 2  # what `PRAGMA synchronous` answers for FULL


def is_sound_sqlite(version: tuple[int, int, int]) -> bool:
    """Whether this library keeps committed data when several processes use one write-ahead log.

    Versions before 3.51.3 can lose it when one process resets the log while another copies it back
    (https://sqlite.org/wal.html, "the WAL-reset bug"); the repair was also made in 3.50.7 and 3.44.6.
    """
    if version[:2] == (3, 50):
        return version >= (3, 50, 7)
    if version[:2] == (3, 44):
        return version >= (3, 44, 6)
    return version >= (3, 51, 3)


def refuse_unsound_sqlite(version: tuple[int, int, int]) -> None:
    """Raise `DatabaseRefused` for a library that may lose committed edits."""
    if not is_sound_sqlite(version):
        number = ".".join(str(part) for part in version)
        raise DatabaseRefused(
            f"SQLite {number} can lose saved edits (its WAL-reset bug; repaired in 3.51.3). "
            "Install a newer one with `pip install --upgrade pysqlite3`."
        )


def sqlite_engine(url: URL) -> Engine:
    """An engine on a file, through the `pysqlite3` library rather than Python's own, which is often too old.

    Raises:
        DatabaseRefused: an unsound library, or a database that lives in memory only.
    """
    refuse_unsound_sqlite(pysqlite.sqlite_version_info)
    if not url.database or url.database == ":memory:":
        raise DatabaseRefused("A database in memory would be gone after a crash. Name a file instead.")
    engine = create_engine(url, module=pysqlite, pool_size=8, max_overflow=32)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    """Set the promises of a connection, and read each one back: a PRAGMA that is not obeyed says nothing."""
    connection.isolation_level = None  # transactions are begun by `_begin`, not by guesses of the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    wanted = {
        "busy_timeout": BUSY_TIMEOUT_MS,
        "journal_mode": "wal",
        "synchronous": _SYNCHRONOUS_FULL,
        "foreign_keys": 1,
    }
    for name, value in wanted.items():
        found = cursor.execute(f"PRAGMA {name}").fetchone()[0]
        if found != value:
            raise DatabaseRefused(
                f"SQLite answers {name} = {found!r} where {value!r} is needed to keep edits safe. "
                "Put the workspace on a local disk."
            )
    cursor.close()


def _begin(connection: Connection) -> None:
    """Begin at once as a writer where the caller will write: a reader that turns writer can fail half-way."""
    immediate = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
