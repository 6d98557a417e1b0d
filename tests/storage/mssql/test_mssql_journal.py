"""The journal's Transact-SQL: written without a server, read by Microsoft's own grammar, sent in the right order."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
import sys
import uuid
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql as dialects

from mergeguard import errors
from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.core.repair.plan import Action, RowChange
from mergeguard.storage import who
from mergeguard.storage.database import identity
from mergeguard.storage.journal import reading as journal_reading
from mergeguard.storage.journal import writing as journal
from mergeguard.storage.journal.tables import JournalTables
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.mssql import lookup as mssql_lookup
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Journal as Names
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Options

URL = sa.URL.create("mssql+pyodbc", "dba", host="db", database="cmdb")
RUN_ID = "ab" * 16
STEP = JournalStep(
    RUN_ID, 1, "c1", ("cycle",), (uuid.UUID(int=1),), None, "strong", "it's why",
    (RowChange(Action.RETIRE, "dbo.ResourceMerge", {"OldGuid": "a"}, None),) * 3, (),
)  # fmt: skip
NAMES = Names("dbo.mergeguard_run", "dbo.mergeguard_step", "audit.odd ]'name")


def opened(names: Names | None = None) -> mssql.MssqlSource:
    return mssql.MssqlSource(URL, Profile(merge=Merge("merges", "old", "new"), journal=names or Names()), Options())


class Answer(list[Any]):
    """No rows, in each of the ways in which rows are asked for."""

    def all(self) -> list[Any]:
        return self

    def mappings(self) -> Any:
        return iter(self)

    def close(self) -> None: ...


class Recorder:
    """A connection that keeps what it is asked to run."""

    def __init__(self) -> None:
        self.connection = self
        self.asked: list[Any] = []

    def execute(self, statement: Any, parameters: Any = (), **_options: Any) -> Answer:
        rows = parameters if isinstance(parameters, list) else [parameters]
        self.asked.append((statement, [*rows[0]]))
        return Answer()

    def scalars(self, statement: Any) -> Answer:
        self.asked.append((statement, []))
        return Answer([1, 2])


def all_statements() -> list[str]:
    tables, recorder = JournalTables(NAMES), Recorder()
    with closing(opened(NAMES)) as source:
        store: Any = recorder
        made = Journal(source, source.profile)
        made.record(store, STEP)
        made.mark_undone(store, RUN_ID, [1, 2], "cd" * 16)
        run = Run(RUN_ID, "apply", "x", "1", dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
        recorder.asked += [(made._insert_run(run), []), (made._finish_run(RUN_ID), [])]
    connection: Any = recorder
    journal_reading.runs(connection, tables)
    journal_reading.runs(connection, tables, RUN_ID)
    journal_reading.spans(connection, tables, RUN_ID)
    list(journal_reading.steps(connection, tables, RUN_ID, None))
    list(journal_reading.steps(connection, tables, RUN_ID, (1, 2)))
    dialect = dialects.dialect(paramstyle="qmark")
    compiled = [
        str(one.compile(dialect=dialect, column_keys=keys or None, compile_kwargs={"render_postcompile": True}))
        for one, keys in recorder.asked
    ]
    sent = [journal.BEGIN, mssql_lookup.TAKE_TURN, identity.MSSQL, who.LOGIN["mssql"]]
    return [*tables.statements(dialect), *compiled, *sent]


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=str(sys.executable).rpartition("/")[0]) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    with_variables = re.sub(r"\[(?:[^]]|\]\])*\]|\?", lambda found: "@p" if found[0] == "?" else found[0], sql)
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(command, input=with_variables, capture_output=True, text=True, check=False, timeout=60)


def test_every_statement_parses_and_holds_no_value() -> None:
    statements = all_statements()
    assert len(statements) == 20
    for statement in statements:
        assert not parse(statement).stderr, statement
        assert "it's" not in statement
        assert RUN_ID not in statement
        assert not re.search(r"\b(MERGE|NOLOCK|TRUNCATE|ALTER|DROP)\b", re.sub(r"\[(?:[^]]|\]\])*\]", "", statement))
    assert parse("SELECT FROM x").returncode != 0


def test_the_tables_have_the_types_of_the_house() -> None:
    runs, steps, changes = JournalTables(Names()).statements(dialects.dialect())
    assert "[mergeguard_run]" in runs
    assert "started DATETIME2(3) NOT NULL" in runs
    assert "finished DATETIME2(3) NULL" in runs
    assert "PRIMARY KEY (run_id, step)" in steps
    assert "happened DATETIME2(3) NOT NULL" in steps
    assert "PRIMARY KEY (run_id, step, place)" in changes
    assert "before_image NVARCHAR(max) NULL" in changes
    assert not re.search(r"\b(TEXT|NTEXT|VARCHAR|IDENTITY|DATETIME)\b", runs + steps + changes)


def test_the_tables_are_made_by_one_session_at_a_time(server: Any) -> None:
    server.answer("sp_getapplock", (0,))
    with closing(opened()) as source:
        Journal(source, source.profile).create()
    order = server.order_of(
        "XACT_ABORT ON", r"FROM sys\.tables", "sp_getapplock",
        r"CREATE TABLE \[mergeguard_run\]", r"CREATE TABLE \[mergeguard_step\]", r"CREATE TABLE \[mergeguard_change\]",
    )  # fmt: skip
    assert order == sorted(order)
    assert "commit" in server.ended
    assert ("mergeguard journal mergeguard_run", 10_000) in server.parameters


class Standing:
    """Introspection of a journal that stands, as SQLAlchemy tells it: with collations, without fractions."""

    default_schema_name = "dbo"
    collation = "SQL_Latin1_General_CP1_CI_AS"
    lost_key = ""

    def __init__(self) -> None:
        self.tables = {str(table.name): table for table in JournalTables(Names()).all.values()}

    def get_table_names(self, **_schema: object) -> list[str]:
        return [*self.tables]

    def get_view_names(self, **_schema: object) -> list[str]:
        return []

    def get_columns(self, table: str, **_schema: object) -> list[dict[str, Any]]:
        return [{"name": one.name, "type": self._told(one.type)} for one in self.tables[table].columns]

    def get_pk_constraint(self, table: str, **_schema: object) -> dict[str, Any]:
        key = [one.name for one in self.tables[table].primary_key.columns]
        return {"constrained_columns": [] if table == self.lost_key else key}

    def _told(self, kind: Any) -> Any:
        written = kind.compile(dialects.dialect())
        length = re.search(r"\((\d+)\)", written)
        if written.startswith("NVARCHAR"):
            return dialects.NVARCHAR(length and int(length[1]), self.collation)
        return dialects.DATETIME2() if written.startswith("DATETIME2") else sa.INTEGER()


def test_a_journal_that_stands_is_known_and_one_that_was_altered_too(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = Standing()
    monkeypatch.setattr(mssql.MssqlSnapshot, "inspector", standing)
    with closing(opened()) as source:
        assert Journal(source, source.profile).exists()
        standing.lost_key = "mergeguard_step"
        with pytest.raises(errors.JournalDamaged, match="mergeguard_step has lost its primary key"):
            Journal(source, source.profile).exists()
        standing.tables["mergeguard_step"] = standing.tables["mergeguard_run"]
        with pytest.raises(errors.JournalDamaged, match="mergeguard_step has no column step"):
            Journal(source, source.profile).exists()


def test_a_session_that_waits_too_long_makes_nothing(server: Any) -> None:
    server.answer("sp_getapplock", (-1,))
    with closing(opened()) as source, pytest.raises(errors.Locked, match="another session is making the journal"):
        Journal(source, source.profile).create()
    assert not [sql for sql in server.sent if "CREATE TABLE" in sql]
    assert "commit" not in server.ended


def test_a_missing_permission_says_what_is_needed(server: Any) -> None:
    server.answer("sp_getapplock", (0,))
    server.fail("CREATE TABLE", "42000", "CREATE TABLE permission denied in database 'cmdb'. (262)")
    with closing(opened()) as source, pytest.raises(errors.PermissionDenied) as caught:
        Journal(source, source.profile).create()
    assert "CREATE TABLE" in str(caught.value.hint)
    assert "mergeguard_change" in str(caught.value.hint)
    assert "commit" not in server.ended


def test_a_database_is_its_server_name_and_birth(server: Any) -> None:
    born = ("DBHOST\\INST", "cmdb", "2020-01-02T03:04:05.67", "6F9619FF-8B86-D011-B42D-00C04FC964FF")
    server.answer("service_broker_guid", born)
    with closing(opened()) as source:
        made_for = identity.identify(source)
        identity.check_identity(source, made_for)
        assert (made_for.database, made_for.kind) == ("cmdb", "mssql")
        assert made_for.server.endswith("at DBHOST\\INST")
        for changed in range(4):
            server.answer(
                "service_broker_guid", tuple(f"{part}x" if at == changed else part for at, part in enumerate(born))
            )
            with pytest.raises(errors.PlanRefused, match="another database"):
                identity.check_identity(source, made_for)
