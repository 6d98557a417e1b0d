"""What SQL Server is sent for a part of the lookup, read by Microsoft's own grammar."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql as dialects

from mergeguard.storage.lookup.part import AT_ONCE, LookupPartWriter
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Lookup, Merge, Profile
from mergeguard.storage.source import Options

URL = sa.URL.create("mssql+pyodbc", "dba", host="db", database="cmdb")
LOOKUP = Lookup("dbo.odd ]'name", "old ]", "current")
ONE, TWO = uuid.UUID(int=1 << 120), uuid.UUID(int=2)
PARAMETERS_AT_MOST = 2100


class Rows:
    """Keeps what it is asked to send."""

    def __init__(self) -> None:
        self.connection = SimpleNamespace(dialect=dialects.dialect(paramstyle="qmark"))
        self.sent: list[tuple[str, tuple[object, ...]]] = []

    def together(self) -> Any:
        import contextlib  # noqa: PLC0415 - nothing travels together here

        return contextlib.nullcontext()

    def send(self, statements: list[tuple[str, tuple[object, ...]]]) -> int:
        self.sent += statements
        return 0


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    """A transaction in which the lookup stands, with guids as the server's own type."""
    from mergeguard.storage.lookup.database import LookupWriter  # noqa: PLC0415 - patched for this fixture alone

    def stands(writer: LookupWriter) -> None:
        writer.form = "uuid"
        writer.table = writer.define("dbo", "odd ]'name", dialects.UNIQUEIDENTIFIER())

    monkeypatch.setattr(LookupWriter, "prepare", stands)
    return Rows()


def replace(rows: Any, olds: list[uuid.UUID], *answers: tuple[uuid.UUID, uuid.UUID | None, int | None, str]) -> None:
    profile = Profile(merge=Merge("merges", "old", "new"), lookup=LOOKUP)
    source = mssql.MssqlSource(URL, profile, Options())
    source.snapshot_class = lambda *_: None  # type: ignore[assignment,misc] # nothing is looked up here
    LookupPartWriter(source, LOOKUP).replace(rows, olds, answers)


def test_the_statements_parse_and_hold_no_value(rows: Rows) -> None:
    replace(rows, [ONE, TWO], (ONE, TWO, 3, "ok"), (TWO, None, None, "cycle"))
    (delete, gone), (insert, put) = rows.sent
    assert delete == "DELETE FROM dbo.[odd ]]'name] WHERE [old ]]] IN (?, ?)"
    assert insert.endswith("VALUES (?, ?, ?, ?), (?, NULL, NULL, ?)")
    assert gone == (str(TWO), str(ONE))
    assert put == (str(ONE), str(TWO), 3, "ok", str(TWO), "cycle")
    for statement, _ in rows.sent:
        assert not parse(statement).stderr, statement
    assert parse("SELECT FROM x").returncode != 0


def test_a_large_part_is_cut_into_what_one_statement_may_hold(rows: Rows) -> None:
    olds = [uuid.UUID(int=number) for number in range(AT_ONCE * 2 + 1)]
    replace(rows, olds, *((old, ONE, 1, "ok") for old in olds))
    assert len(rows.sent) == 6
    assert all(len(values) == statement.count("?") <= PARAMETERS_AT_MOST for statement, values in rows.sent)
    assert sum(len(values) for statement, values in rows.sent if statement.startswith("DELETE")) == len(olds)


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    with_variables = re.sub(r"\[(?:[^]]|\]\])*\]|\?", lambda found: "@p" if found[0] == "?" else found[0], sql)
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(command, input=with_variables, capture_output=True, text=True, check=False, timeout=60)
