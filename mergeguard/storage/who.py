"""Who does it: the account at the operating system, and the database's login where that is another."""

from __future__ import annotations

import getpass
import os
import socket

import sqlalchemy as sa

from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.source import Source

LOGIN = {"postgresql": "SELECT session_user", "mssql": "SELECT SUSER_SNAME()"}


def who(source: Source) -> str:
    """Return ``user@host``, and ``as login`` behind it where the database knows this session by another name.

    Raises:
        CannotCheck: the database cannot be asked.
    """
    user = _account()
    login = _login(source)
    known = f"{user}@{socket.gethostname()}"
    return known if login is None or login.rpartition("\\")[2].casefold() == user.casefold() else f"{known} as {login}"


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container an account may have a number and no name
        return f"uid {os.getuid()}"


def _login(source: Source) -> str | None:
    statement = LOGIN.get(source.info.kind)
    if statement is None or not isinstance(source, DatabaseSource):
        return None
    with source.snapshot() as snapshot, source.translated():
        return str(snapshot.connection.execute(sa.text(statement)).scalar_one())
