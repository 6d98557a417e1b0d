"""What ``mergeguard doctor`` says about a SQL Server target beyond what holds for every database; SELECTs only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mergeguard.storage.mssql.arrow import arrow_odbc

if TYPE_CHECKING:
    from mergeguard.storage.mssql.source import MssqlSnapshot

Row = tuple[str, str, bool]

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
HAS_RIGHTS = "SELECT " + ", ".join(f"HAS_PERMS_BY_NAME(?, 'OBJECT', '{right}')" for right in RIGHTS)
SEES_SESSIONS = "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')"
ENCRYPTION = "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"


def checks(snapshot: MssqlSnapshot) -> Sequence[Row]:
    """Return (check, finding, fine?) rows about drivers, encryption and the login's rights."""
    return [
        ("odbc", odbc_driver(snapshot.connection), True),
        ("fast driver", _fast_driver(snapshot), True),
        ("encryption", _encryption(snapshot.connection), True),
        *_rights(snapshot),
        ("read-only proof", "a scan sends SELECT and SET alone; SQL Server knows no read-only transaction", True),
    ]


def odbc_driver(connection: sa.Connection) -> str:
    """Name pyodbc, the ODBC driver that it loaded, and their versions."""
    pyodbc: Any = connection.dialect.loaded_dbapi
    odbc: Any = connection.connection.dbapi_connection
    name, version = (odbc.getinfo(what) for what in (pyodbc.SQL_DRIVER_NAME, pyodbc.SQL_DRIVER_VER))
    return f"pyodbc {pyodbc.version}, {name} {version}"


def _fast_driver(snapshot: MssqlSnapshot) -> str:
    if not snapshot.source.options.fast:
        return "not used, as asked"
    return "arrow-odbc" if arrow_odbc() else "arrow-odbc is not installed: pip install 'mergeguard[fast]'"


def _rights(snapshot: MssqlSnapshot) -> Iterator[Row]:
    """Say what the login may do with the merge table."""
    table = snapshot.source.profile.merge.table
    if snapshot.find(table) is None:
        return
    name = snapshot.quoted(table)
    answers = snapshot.connection.exec_driver_sql(HAS_RIGHTS, (name,) * len(RIGHTS)).one()
    may_read, *_ = answers
    writes = [right for right, answer in zip(RIGHTS[1:], answers[1:], strict=True) if answer]
    could = f"could also {', '.join(writes)}; a read-only login is safer" if writes else "may not write it"
    yield "read permission", "SELECT on the merge table" if may_read else "no SELECT on the merge table", bool(may_read)
    yield "write permission", f"this login {could}", True


def _encryption(connection: sa.Connection) -> str:
    if not connection.exec_driver_sql(SEES_SESSIONS).scalar_one():
        return "unknown: only a login with VIEW SERVER STATE can see it"
    if connection.exec_driver_sql(ENCRYPTION).scalar_one() == "TRUE":
        return "TLS"
    return "none: what is read crosses the network in clear; add Encrypt=yes to the URL"
