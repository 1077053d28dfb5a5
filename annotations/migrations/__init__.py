"""How a database of an older version becomes one of this version."""

HEAD = "0004"
"""The newest revision: what `Store.open` compares with, so that alembic is loaded only when there is work."""
