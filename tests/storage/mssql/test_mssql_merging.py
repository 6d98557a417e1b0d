"""A merge's Transact-SQL on our own tables: written without a server and read by Microsoft's own grammar."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.dialects import mssql as dialects

from mergeguard.storage.database.guid_parameters import OwnTable
from mergeguard.storage.merging import store as merging_store
from mergeguard.storage.merging.store import MergingStore
from mergeguard.storage.merging.tables import MergingTables
from mergeguard.storage.profile import Merging
from mergeguard.storage.rows.database import DatabaseRows

NAMES = {"table": "[dbo].[mergeguard_root]", "guid": "[guid]", "turn": "[turn]", "marks": "?, ?"}
ONE, OTHER = uuid.UUID(int=1 << 120), uuid.UUID(int=2)


class Recorder:
    """Rows that keep what they are asked."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[object, ...]]] = []
        self.source = SimpleNamespace(translated=lambda **_: self)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def tuples(self, sql: str, values: Any = ()) -> list[tuple[object, ...]]:
        self.sent.append((sql, tuple(values)))
        return []

    def run(self, sql: str, values: Any = ()) -> None:
        self.tuples(sql, values)

    def together(self) -> Recorder:
        return self

    def send(self, statements: Any) -> int:
        self.sent += statements
        return len(statements)


class Table:
    """A table of guids."""

    def __init__(self, name: str) -> None:
        self.name = f"[dbo].[{name}]"

    def parameter(self, guid: uuid.UUID) -> str:
        return str(guid)


@pytest.fixture
def store() -> MergingStore:
    made = object.__new__(MergingStore)
    made.mark, made._kind, made._quote = "?", "mssql", lambda name: f"[{name}]"
    for part, name in (("roots", "mergeguard_root"), ("never", "mergeguard_never"), ("lookup", "mergeguard_lookup")):
        setattr(made, part, cast("OwnTable", Table(name)))
    made._old, made._current, made._depth, made._status = "[old_guid]", "[current_guid]", "[depth]", "[status]"
    return made


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    for number in range(sql.count("?")):
        sql = sql.replace("?", f"@p{number}", 1)
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=False)


def sent(store: MergingStore) -> list[tuple[str, tuple[object, ...]]]:
    """All that a merge asks and tells our own tables."""
    asked = Recorder()
    rows = cast("DatabaseRows", asked)
    store.write_roots(rows, [OTHER, ONE])
    store.share_roots(rows, [ONE, OTHER])
    store.refused_pair(rows, [ONE], [OTHER])
    store.answers(rows, [ONE, OTHER])
    store.class_of(rows, ONE)
    store.move_class(rows, ONE, OTHER)
    return asked.sent


def test_every_statement_of_a_merge_is_transact_sql(store: MergingStore) -> None:
    statements = {sql for sql, _ in sent(store)}
    assert len(statements) >= 8
    tables = MergingTables(Merging("dbo.mergeguard_root"), dialects.UNIQUEIDENTIFIER()).statements(dialects.dialect())
    for sql in (*statements, *tables):
        done = parse(sql)
        assert done.returncode == 0, (sql, done.stdout, done.stderr)


def test_a_wrong_statement_is_noticed(store: MergingStore) -> None:
    sql = next(sql for sql, _ in sent(store) if "UPDATE" in sql)
    assert parse(sql.replace("WHERE", "WHERE WHERE", 1)).returncode != 0


def test_roots_are_written_in_the_order_of_their_texts(store: MergingStore) -> None:
    first, second = sent(store)[:2]
    assert merging_store.UPSERT_MSSQL.format(**NAMES) == first[0]
    assert (first[1], second[1]) == ((str(OTHER),) * 2, (str(ONE),) * 2)


def test_each_parameter_has_its_mark(store: MergingStore) -> None:
    for sql, values in sent(store):
        assert sql.count("?") == len(values), sql
