"""What ``doctor`` says of an SQLite file: its journal, the fast driver, and proof that reading cannot write."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from mergeguard.storage.sqlite.source import SqliteSnapshot

Row = tuple[str, str, bool]
_FAST: Row = ("fast driver", "none needed: the plain driver reads packed rows as fast", True)


def checks(snapshot: SqliteSnapshot) -> Sequence[Row]:
    """Return (check, finding, fine?) rows."""
    return [_journal(snapshot), _FAST, _write_permission(snapshot), _read_only(snapshot)]


def _journal(snapshot: SqliteSnapshot) -> Row:
    opening = snapshot.source.opening
    if opening is None or not opening.wal:
        mode = snapshot.connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        return ("journal mode", f"{mode}: a reader and a writer wait for each other", True)
    busy = "its log is empty, so it is read without side files" if opening.immutable else "its log is in use"
    return ("journal mode", f"wal: {busy}", True)


def _write_permission(snapshot: SqliteSnapshot) -> Row:
    path = snapshot.source.path
    may = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    could = "this user could write the file; a read-only copy or account is safer" if may else "this user may not write"
    return ("write permission", could, True)


def _read_only(snapshot: SqliteSnapshot) -> Row:
    """Try a write on the connection that reads, within its transaction, and see it refused."""
    snapshot.connection.exec_driver_sql("PRAGMA query_only = 0")  # so that the refusal is that of the open mode
    try:
        snapshot.connection.exec_driver_sql("CREATE TABLE mergeguard_probe (probe INTEGER)")
    except sa.exc.OperationalError as refused:
        code = getattr(refused.orig, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_READONLY:
            return ("read-only proof", "SQLite refuses a write on the connection that reads", True)
    finally:
        snapshot.connection.exec_driver_sql("PRAGMA query_only = 1")
    return ("read-only proof", "SQLite did not refuse a write on the connection that reads", False)
