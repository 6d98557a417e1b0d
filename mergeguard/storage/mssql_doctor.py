"""What ``doctor`` asks a SQL Server: versions, what the login may do, isolation options, encryption. SELECTs only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from mergeguard.storage.mssql import MssqlSnapshot

Row = tuple[str, str, bool]

MAY_WRITE = (
    "SELECT HAS_PERMS_BY_NAME(?, 'OBJECT', 'INSERT'), HAS_PERMS_BY_NAME(?, 'OBJECT', 'UPDATE'), "
    "HAS_PERMS_BY_NAME(?, 'OBJECT', 'DELETE')"
)
MAY_SEE_SESSIONS = "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')"
ENCRYPTION = "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"
_VERBS = ("INSERT", "UPDATE", "DELETE")


def rows(snapshot: MssqlSnapshot) -> Sequence[Row]:
    """Return (check, finding, fine?) rows of an open snapshot."""
    table = snapshot.source.profile.merge.table
    found = snapshot.find(table)
    checks = [
        ("server", snapshot.source.info.server, True),
        ("driver", driver(snapshot.connection), True),
        ("isolation", snapshot.isolation, snapshot.consistent),
        ("encryption", *_encryption(snapshot.connection)),
        ("merge table", f"{table} found" if found else f"{table} not found", found is not None),
    ]
    if found is not None:
        checks.append(("read-only login", *_read_only(snapshot.connection, snapshot.quoted(table))))
    return checks


def driver(connection: sa.Connection) -> str:
    """Name pyodbc, the ODBC driver that it loaded, and their versions."""
    pyodbc = connection.dialect.loaded_dbapi
    odbc = connection.connection.dbapi_connection
    name, version = (odbc.getinfo(what) for what in (pyodbc.SQL_DRIVER_NAME, pyodbc.SQL_DRIVER_VER))
    return f"pyodbc {pyodbc.version}, {name} {version}"


def _read_only(connection: sa.Connection, table: str) -> tuple[str, bool]:
    answers = connection.exec_driver_sql(MAY_WRITE, (table, table, table)).one()
    verbs = [verb for verb, answer in zip(_VERBS, answers, strict=True) if answer]
    if verbs:
        return f"the login may {', '.join(verbs)} on {table}; a scan sends SELECT only, but needs no more", False
    return f"the login cannot write {table}", True


def _encryption(connection: sa.Connection) -> tuple[str, bool]:
    if not connection.exec_driver_sql(MAY_SEE_SESSIONS).scalar_one():
        return "unknown: the login lacks VIEW SERVER STATE, which shows it", True
    if connection.exec_driver_sql(ENCRYPTION).scalar_one() == "TRUE":
        return "the connection is encrypted", True
    return "the connection is not encrypted: add Encrypt=yes to the URL", False
