"""The URL of a database with all that is needed to connect again, and no password."""

from __future__ import annotations

import re

import sqlalchemy as sa

from mergeguard.storage import secrets
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.mssql import odbc as mssql_odbc
from mergeguard.storage.sqlite.source import SqliteSource

_SECRET = re.compile(r"passw|passphrase|^pass$|pwd|secret|token|\bpass\s*[:=]", re.IGNORECASE)
"""In the name of a setting, or in a value that holds settings of its own. ``passfile`` names a file."""


def without_password(source: DatabaseSource) -> str:
    """Return what opens this database again, for a plan; whoever uses it gives the password anew.

    Host, port, database, user and the options of the driver are in it. An SQLite file is its path, resolved.
    """
    if isinstance(source, SqliteSource):
        return str(source.path.resolve())
    text = _stripped(source.url).render_as_string(hide_password=False)
    # What is left and still looks like a password is one that was written where none belongs.
    return secrets.masked(text)


def _stripped(url: sa.URL) -> sa.URL:
    query = {key: value for key, value in url.query.items() if not _tells(key, value)}
    whole = query.get("odbc_connect")
    if whole is not None:
        text = whole if isinstance(whole, str) else whole[-1]
        query["odbc_connect"] = mssql_odbc.joined([pair for pair in mssql_odbc.pairs(text) if not _tells(*pair)])
    return sa.URL.create(url.drivername, url.username, None, url.host, url.port, url.database, query)


def _tells(key: str, value: str | tuple[str, ...]) -> bool:
    """Say whether a setting is a password or holds one."""
    if key.lower() == "odbc_connect":
        return False  # looked at pair by pair
    values = [value] if isinstance(value, str) else value
    return any(_SECRET.search(text) for text in (key, *values))
