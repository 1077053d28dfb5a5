"""Runs alembic on an open connection: no ini file, no logging, nothing printed."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from annotations.errors import DatabaseRefused


def upgrade(connection: Connection, found: str | None) -> None:
    """Bring the database to the newest revision, inside the caller's transaction: all of it or none.

    Args:
        connection: in a transaction that may write.
        found: the revision it stands at; None for an empty database.

    Raises:
        DatabaseRefused: a revision this version does not know.
    """
    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseRefused(f"The database is at version {found!r}, made by a newer Groundwork. Update the program.")
    command.upgrade(config, "head")


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings as code; `env.py` finds the connection in `attributes`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
