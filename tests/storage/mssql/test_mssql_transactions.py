"""How transactions begin: a driver may only promise one, and a statement that reads or writes a table begins it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from mergeguard.storage import schema
from mergeguard.storage.importing import mssql as importing
from mergeguard.storage.mssql import rows as mssql_rows
from mergeguard.storage.mssql.source import BEGIN, MssqlSource
from mergeguard.storage.profile import Profile
from mergeguard.storage.queue import mssql_tables
from mergeguard.storage.queue.mssql_sessions import Sessions
from mergeguard.storage.source import Options

URL = sa.URL.create("mssql+pyodbc", "reader", "word", "db", 1433, "cmdb")
FIRST = [mssql_rows.TAKE_LOCK, mssql_tables.LOCK, schema._LOCKS["mssql"][-1], importing.HOLD_KEYS]
"""Locks of a transaction that may be its first statement; the others stand behind a statement that begins it."""
ENGINES: dict[str, Callable[[MssqlSource], sa.Engine]] = {
    "source": lambda source: source.engine,
    "queue": lambda source: Sessions(source).engine,
}


@pytest.mark.parametrize("statement", FIRST)
def test_a_lock_of_a_transaction_stands_behind_a_read_that_begins_it(statement: str) -> None:
    before, lock, _ = statement.format(keys=importing.HOLD_KEY).partition("sp_getapplock")
    assert lock
    assert re.search(r"SELECT TOP \(1\) @\w+ = 1 FROM sys\.objects;\s+EXEC @\w+ = $", before)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_savepoint_is_set_in_a_transaction_that_was_begun_by_a_read(server: Any, engine: str) -> None:
    """One that BEGIN TRANSACTION begins would be open still when its batch says that it was committed."""
    with closing(MssqlSource(URL, Profile(), Options())) as source:
        made = ENGINES[engine](source)
        with made.begin() as connection, connection.begin_nested():
            connection.exec_driver_sql("SELECT 1").close()
        made.dispose()
    began, pushed, saved, read = server.order_of(re.escape(BEGIN), "BEGIN TRANSACTION", "SAVE TRANSACTION", "SELECT 1$")
    assert began < pushed < saved < read


def test_what_begins_a_transaction_parses_and_begins_none_twice() -> None:
    maxdop = shutil.which("maxdop", path=sys.executable.rpartition("/")[0]) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2012"]
    done = subprocess.run(command, input=BEGIN, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "IF @@TRANCOUNT = 0 SELECT" in BEGIN
    assert "BEGIN TRAN" not in BEGIN
