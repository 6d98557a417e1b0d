"""What is sent to SQL Server to read, change and restore rows, in which order, and that it is Transact-SQL."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from mergeguard import errors
from mergeguard.core.repair.plan import Action, Column, Image, RowChange, TableShape
from mergeguard.storage.merging import lock as merge_lock
from mergeguard.storage.mssql import rows as mssql_rows
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.mssql import values as mssql_values
from mergeguard.storage.mssql.rows import MssqlTable
from mergeguard.storage.mssql.values import Stored
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.source import Column as Asked
from mergeguard.storage.source import Kind, Options, Selection

URL = sa.URL.create("mssql+pyodbc", "writer", host="db", database="cmdb")
OLD, NEW = uuid.UUID(int=10 << 120), uuid.UUID(int=12)
UPPER, LOWER = str(OLD).upper(), str(OLD)
ROW = {"id": "7", "old": UPPER, "new": str(NEW).upper(), "name": "x"}
COLUMNS = {
    # name, type, bytes, precision, scale, collation, nullable, identity, computed, period
    "id": ("int", 4, 10, 0, None, 0, 1, 0, 0),
    "old": ("uniqueidentifier", 16, 0, 0, None, 1, 0, 0, 0),
    "new": ("uniqueidentifier", 16, 0, 0, None, 1, 0, 0, 0),
    "name": ("varchar", 50, 0, 0, "Latin1_General_CI_AS", 1, 0, 0, 0),
    "version": ("timestamp", 8, 0, 0, None, 0, 0, 0, 0),
    "doubled": ("int", 4, 10, 0, None, 1, 0, 1, 0),
    "until": ("datetime2", 8, 27, 7, None, 0, 0, 0, 2),
}
EVERY_TYPE = {
    "id": Stored("id", "int", 4, 10, 0, not_null=True, identity=True),
    **{name: Stored(name, name, 8, 10, 2) for name in mssql_values._PLAIN | mssql_values._STYLES.keys()},
    **{name: Stored(name, name, 40, 0, 0) for name in mssql_values._BYTES | mssql_values._WIDE | {"xml"}},
    "most": Stored("most", "varbinary", -1, 0, 0),
    **{name: Stored(name, name, 40, 0, 0, "Latin1_General_CI_AS") for name in mssql_values._NARROW},
    "an ] odd ? name": Stored("an ] odd ? name", "nvarchar", 80, 0, 0),
    "made": Stored("made", "rowversion", 8, 0, 0),
}


def opened() -> mssql.MssqlSource:
    return mssql.MssqlSource(URL, Profile(merge=Merge("merges", "old", "new")), Options(lock_timeout=2))


def fetched(image: Image) -> tuple[object, ...]:
    """A row as the driver gives it: texts as their UTF-16 bytes."""
    return tuple(value.encode("utf-16-le") if name == "name" and value else value for name, value in image.items())


@pytest.fixture
def db(server: Any) -> Any:
    """A merge table with a key, an identity and columns that the server makes."""
    server.answer(r"FROM sys\.columns", *((name, *column) for name, column in COLUMNS.items()))
    server.answer(r"FROM sys\.indexes", (1, "id"))
    server.answer("OBJECT_SCHEMA_NAME", ("dbo", "merges"))
    server.answer("sp_getapplock", (0,))
    server.answer("@@ROWCOUNT", (1,))
    server.answer(r"SELECT CONVERT.*FROM \[merges\]", fetched(ROW))
    return server


def attempt(*steps: Callable[[DatabaseRows], object]) -> None:
    with closing(opened()) as source, source.writing() as writing, writing.transaction() as rows:
        for step in steps:
            step(rows)


def change(before: Image | None, after: Image | None) -> Callable[[DatabaseRows], None]:
    return lambda rows: rows.change([RowChange(Action.RETIRE, "merges", before, after)])


def sent_after_locks(server: Any) -> list[str]:
    """What a transaction sent once it had its locks."""
    start = max(place for place, sql in enumerate(server.sent) if "TABLOCK" in sql)
    return list(server.sent[start + 1 :])


def test_a_transaction_takes_the_application_lock_and_then_the_table(db: Any) -> None:
    attempt(lambda _rows: None)
    settings, lock, table = db.order_of("XACT_ABORT ON", "sp_getapplock", r"\[merges\] WITH \(TABLOCK, HOLDLOCK\)")
    assert settings < lock < table
    assert db.parameters[lock] == ("mergeguard merges dbo.merges", "Exclusive", "Transaction", 2000)
    assert {"SET LOCK_TIMEOUT 2000", "SET DEADLOCK_PRIORITY LOW"} <= set(db.sent[:lock])
    assert "SET TRANSACTION ISOLATION LEVEL READ COMMITTED" in db.sent[:lock]
    assert db.ended[-3:] == ["commit", "rollback", "close"]  # nothing is open any more when it is rolled back


@pytest.mark.parametrize("code", [-1, -2, -3, -999])
def test_a_lock_that_is_not_had_is_said(db: Any, code: int) -> None:
    db.answer("sp_getapplock", (code,))
    with pytest.raises(errors.Locked, match="another repair"):
        attempt(lambda rows: pytest.fail("the transaction was begun", bool(rows)))
    assert not [sql for sql in db.sent if "TABLOCK" in sql]
    assert "rollback" in db.ended


def test_a_row_is_looked_at_under_a_lock_and_then_deleted(db: Any) -> None:
    attempt(change(ROW, None))
    look, delete = sent_after_locks(db)[-2:]
    assert look.endswith("FROM [merges] WITH (UPDLOCK, ROWLOCK) WHERE [id] IN (CONVERT(int, ?))")
    assert delete == mssql_rows.ROWS_CHANGED.format("DELETE FROM [merges] WHERE [id] IN (CONVERT(int, ?))")
    assert db.parameters[-2:] == [("7",), ("7",)]
    assert not [sql for sql in db.sent if "version" in sql or "doubled" in sql or "until" in sql]


@pytest.mark.parametrize("name", ["old", "new", "name"])
def test_a_row_that_is_not_what_it_was_is_stale(db: Any, name: str) -> None:
    with pytest.raises(errors.Stale, match=f"row id 7: {name} was .* and is") as caught:
        attempt(change({**ROW, name: None}, None))
    assert len(caught.value.changed) == 1
    assert not [sql for sql in db.sent if "DELETE" in sql]
    assert "rollback" in db.ended


def test_a_row_that_is_gone_is_stale(db: Any) -> None:
    db.answer(r"SELECT CONVERT.*FROM \[merges\]")
    with pytest.raises(errors.Stale, match="row id 7: is gone"):
        attempt(change(ROW, {**ROW, "name": "y"}))


def test_an_update_writes_what_differs_and_reads_it_back(db: Any) -> None:
    answers = iter([ROW, {**ROW, "new": None}])
    db.answers.append((r"SELECT CONVERT.*FROM \[merges\]", lambda _given: [fetched(next(answers))]))
    attempt(change(ROW, {**ROW, "new": None}))
    look, update, again = sent_after_locks(db)[-3:]
    assert update == mssql_rows.ROWS_CHANGED.format(
        "UPDATE [merges] SET [new] = CONVERT(uniqueidentifier, NULLIF(?, N'')) WHERE [id] = CONVERT(int, ?)"
    )
    assert db.parameters[-2] == ("", "7")
    assert "UPDLOCK" in look
    assert "UPDLOCK" not in again


def test_what_the_server_made_of_a_write_is_noticed(db: Any) -> None:
    with pytest.raises(errors.WriteFailed, match="name was y and is x now"):
        attempt(change(ROW, {**ROW, "name": "y"}))
    assert db.ended == ["rollback", "commit", "rollback", "rollback", "close"]  # the settings alone are committed


def test_a_count_that_is_not_as_told_is_noticed(db: Any) -> None:
    db.answer("@@ROWCOUNT", (0,))
    with pytest.raises(errors.WriteFailed, match="1 rows were to change and the database changed 0"):
        attempt(change(ROW, None))


def test_a_row_comes_back_with_its_id(db: Any) -> None:
    answers = iter([[], [fetched(ROW)]])
    db.answers.append((r"SELECT CONVERT.*FROM \[merges\]", lambda _given: next(answers)))
    attempt(change(None, ROW))
    _, on, insert, off, _ = sent_after_locks(db)[-5:]
    assert (on, off) == ("SET IDENTITY_INSERT [merges] ON", "SET IDENTITY_INSERT [merges] OFF")
    assert "INSERT INTO [merges] ([id], [old], [new], [name]) VALUES (CONVERT(int, ?)" in insert
    assert "CONVERT(varchar(50), ? COLLATE Latin1_General_CI_AS)" in insert


def test_the_session_is_left_as_it_was_where_the_insert_fails(db: Any) -> None:
    db.answer(r"SELECT CONVERT.*FROM \[merges\]")
    db.fail("INSERT INTO", "23000", "Violation of UNIQUE KEY constraint. (2627)")
    with pytest.raises(errors.WriteFailed, match="UNIQUE KEY"):
        attempt(change(None, ROW))
    assert db.sent[-1] == "SET IDENTITY_INSERT [merges] OFF"
    assert "rollback" in db.ended


def test_a_row_is_not_put_back_over_another(db: Any) -> None:
    with pytest.raises(errors.Stale, match="stand there"):
        attempt(change(None, ROW))
    assert not [sql for sql in db.sent if "INSERT" in sql]


def test_of_rows_that_nothing_tells_apart_one_is_taken(db: Any) -> None:
    db.answer(r"FROM sys\.indexes")
    db.answer(r"SELECT TOP \(1\) 1 FROM \[merges\] WITH \(UPDLOCK", (1,))
    attempt(change({**ROW, "new": None}, None), change(ROW, {**ROW, "name": None}))
    deleted = next(sql for sql in db.sent if "DELETE" in sql)
    updated = next(sql for sql in db.sent if "UPDATE TOP" in sql)
    assert "DELETE TOP (1) FROM [merges] WHERE [id] = CONVERT(int, ?) AND [old] = " in deleted
    assert "[new] IS NULL" in deleted
    raw = "CONVERT(varbinary(max), CONVERT(nvarchar(max), [name])) = CAST(? AS varbinary(max))"
    assert raw in deleted
    assert "UPDATE TOP (1) [merges] SET [name] = " in updated
    assert ("7", UPPER, "x".encode("utf-16-le")) in db.parameters


def test_a_key_with_null_or_made_by_the_server_names_no_row(db: Any) -> None:
    db.answer(r"FROM sys\.indexes", (1, "old"), (2, "id"), (2, "version"), (3, "id"))
    with closing(opened()) as source, source.snapshot() as snapshot:
        shape = source.rows(snapshot).shape("merges")
    assert shape.key == ("id",)
    assert [column.name for column in shape.columns if column.generated] == ["version", "doubled", "until"]
    assert [column.name for column in shape.columns if column.identity] == ["id"]
    assert shape.columns[3] == Column("name", "varchar(50)")


@pytest.mark.parametrize("kind", ["sql_variant", "vector", "mystery"])
def test_a_type_that_cannot_be_kept_is_refused_by_name(db: Any, kind: str) -> None:
    db.answer(r"FROM sys\.columns", ("id", *COLUMNS["id"]), ("value", kind, 8016, 0, 0, None, 1, 0, 0, 0))
    with closing(opened()) as source, source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        with pytest.raises(errors.Unsupported, match=f"column value is of the type {kind}"):
            rows.shape("merges")


@pytest.mark.parametrize(
    ("kind", "marks", "first"),
    [
        ("uniqueidentifier", 4, UPPER),
        ("binary", 4, f"0x{OLD.hex}"),
        ("varbinary", 4, f"0x{OLD.hex}"),
        ("nvarchar", 32, LOWER),
        ("char", 32, LOWER),
    ],
)
def test_guids_are_asked_for_in_the_columns_own_type(db: Any, kind: str, marks: int, first: str) -> None:
    column = ("old", kind, 90, 0, 0, "Latin1_General_BIN2", 1, 0, 0, 0)
    db.answer(r"FROM sys\.columns", ("id", *COLUMNS["id"]), column)
    db.answer(r"SELECT CONVERT.*FROM \[merges\]")
    with closing(opened()) as source, source.snapshot() as snapshot:
        assert list(source.rows(snapshot).having("merges", "OLD", [OLD, NEW])) == []
    asked, given = db.sent[-1], db.parameters[-1]
    assert asked.partition("WHERE ")[2].startswith("[old] IN (CONVERT(")
    assert (asked.partition("WHERE ")[2].count("?"), given[0]) == (marks, first)
    assert "UPDLOCK" not in asked


def test_a_thorough_search_normalises_and_keeps_what_is_asked(db: Any) -> None:
    image = {"id": "7", "name": f" ({LOWER})"}
    db.answer(r"FROM sys\.columns", ("id", *COLUMNS["id"]), ("name", *COLUMNS["name"]))
    db.answer(r"SELECT CONVERT.*FROM \[merges\]", fetched(image), fetched({**image, "name": "no guid"}))
    with closing(opened()) as source, source.snapshot() as snapshot:
        assert list(source.rows(snapshot).having("merges", "name", [OLD], thorough=True)) == [image]
    assert db.parameters[-1] == (OLD.hex,)
    assert "REPLACE(" in db.sent[-1]


def test_cells_are_spelled_as_the_server_spells_them(db: Any) -> None:
    with closing(opened()) as source, source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        assert rows.cell("merges", "new", OLD, ROW["new"]) == UPPER
        assert rows.cell("merges", "name", OLD, f"{{{NEW}}}") == f"{{{LOWER}}}"
        assert rows.guid("merges", "old", UPPER) == OLD
        assert rows.guid("merges", "old", None) is None
        assert rows.guid("merges", "name", "\0" + "00d8") is None


@pytest.mark.parametrize("order", ["text", "sqlserver"])
def test_bytes_are_read_in_the_order_of_the_profile(db: Any, order: str) -> None:
    db.answer(r"FROM sys\.columns", ("id", *COLUMNS["id"]), ("old", "binary", 16, 0, 0, None, 1, 0, 0, 0))
    profile = Profile(merge=Merge("merges", "old", "new", byte_order=order))  # type: ignore[arg-type]
    raw = (OLD.bytes_le if order == "sqlserver" else OLD.bytes).hex().upper()
    with closing(mssql.MssqlSource(URL, profile, Options())) as source, source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        assert rows.guid("merges", "old", f"0x{raw}") == OLD
        assert rows.cell("merges", "old", OLD, None) == f"0x{raw}"


def test_a_session_holds_the_lock_over_several_transactions(db: Any) -> None:
    with closing(opened()) as source, source.writing() as writing:
        with writing.hold_merge_lock(), writing.transaction():
            pass
        with writing.transaction():
            pass
    locks = [given[1:3] for sql, given in zip(db.sent, db.parameters, strict=True) if "sp_getapplock" in sql]
    assert locks == [("Exclusive", "Session"), ("Exclusive", "Transaction")]
    assert len([sql for sql in db.sent if "sp_releaseapplock" in sql]) == 1


def test_a_merge_takes_the_lock_with_others(db: Any) -> None:
    with closing(opened()) as source, source.snapshot() as snapshot:
        merge_lock.hold_shared(source.rows(snapshot))
    assert db.parameters[-1][:3] == ("mergeguard merges dbo.merges", "Shared", "Transaction")


def test_a_login_without_rights_is_told_which(db: Any) -> None:
    denied = {("[merges]", "DELETE"), ("[merges]", "ALTER")}
    db.answers.append(("HAS_PERMS_BY_NAME", lambda given: [(0 if given in denied else 1,)]))
    with closing(opened()) as source, source.writing() as writing:
        with pytest.raises(errors.PermissionDenied, match="DELETE, ALTER on merges"):
            writing.check_rights(["merges"])
        with pytest.raises(errors.PermissionDenied, match="it lacks DELETE on merges"):
            writing.check_rights(["merges"], ["UPDATE", "DELETE"])
        writing.check_rights(["merges"], ["UPDATE"])
    assert not [sql for sql in db.sent if "TABLOCK" in sql]


def test_nothing_is_read_through_a_second_connection_inside_a_transaction(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mssql, "arrow_odbc", lambda: pytest.fail("another connection was opened"))
    asked = Selection((Asked("old", Kind.GUID),), "merges")
    attempt(lambda rows: list(rows.snapshot.read(asked)))


# --- Values. ---


@given(st.binary(max_size=12).filter(lambda raw: len(raw) % 2 == 0))
@example("\ud800".encode("utf-16-le", "surrogatepass"))
@example(b"\0\0a\0")
def test_any_text_comes_back_as_the_same_units(raw: bytes) -> None:
    column = Stored("a", "nvarchar", -1, 0, 0)
    cell = mssql_values.cell(raw)
    assert cell is not None
    cell.encode()  # it can be written into a plan
    mark, value = mssql_values.placed(column, cell)
    sent = value.encode("utf-16-le") if isinstance(value, str) else value
    assert sent == raw
    assert ("varbinary" in mark) == isinstance(value, bytes)
    assert mssql_rows._utf16(cell) == raw


def test_null_is_null_and_other_values_are_as_they_came() -> None:
    assert mssql_values.cell(None) is None
    assert mssql_values.cell("1.50") == "1.50"
    assert mssql_values.placed(Stored("a", "money", 8, 19, 4), None) == ("CONVERT(money, NULLIF(?, N''), 2)", "")


@pytest.mark.parametrize(
    ("stored", "spelled"),
    [
        (Stored("a", "nvarchar", 100, 0, 0), "nvarchar(50)"),
        (Stored("a", "varchar", -1, 0, 0), "varchar(max)"),
        (Stored("a", "decimal", 9, 18, 4), "decimal(18,4)"),
        (Stored("a", "datetime2", 8, 27, 7), "datetime2(7)"),
        (Stored("a", "float", 8, 53, 0), "float(53)"),
        (Stored("a", "datetime", 8, 23, 3), "datetime"),
    ],
)
def test_types_are_spelled_as_transact_sql_spells_them(stored: Stored, spelled: str) -> None:
    assert stored.type == spelled


# --- The grammar. ---


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    with_variables = re.sub(r"\[(?:[^]]|\]\])*\]|\?", lambda found: "@p" if found[0] == "?" else found[0], sql)
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(command, input=with_variables, capture_output=True, text=True, check=False, timeout=60)


def table_of(key: tuple[str, ...]) -> MssqlTable:
    quote = sa.dialects.mssql.dialect().identifier_preparer.quote_identifier
    columns = tuple(Column(one.name, one.type, one.generated, one.identity) for one in EVERY_TYPE.values())
    names = {column.name: quote(column.name) for column in columns}
    return MssqlTable(TableShape("t", columns, key), "[dbo].[merges of ]] them]", names, EVERY_TYPE)


def test_every_statement_parses_as_transact_sql(db: Any) -> None:
    statements = [mssql_rows.TAKE_LOCK, mssql_rows.GIVE_LOCK, mssql_rows.LOCK_TABLE.format("[a]")]
    for key in ((), ("id",), ("id", "nvarchar")):
        table = table_of(key)
        wild = dict.fromkeys(table.columns, "\0" + "00d8")
        place = table.same(wild) if not key else table.at([("1", "2")[: len(key)]] * 2)
        statements += [
            table.select(place[0], locking=True),
            table.insert(wild)[0],
            mssql_rows.ROWS_CHANGED.format(table.delete(place)[0]),
            mssql_rows.ROWS_CHANGED.format(table.update(table.columns, wild, place)[0]),
        ]
    attempt(change(ROW, None))
    with closing(opened()) as source, source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        rows.known["every"] = table_of(("id",))
        for column in table_of(()).columns:
            statements += [rows.normalised(rows.table("every"), column, [OLD])[0].join(("SELECT 1 FROM t WHERE ", ""))]
            asked = rows.asked(rows.table("every"), column, [OLD])
            statements += [] if asked is None else [f"SELECT 1 FROM t WHERE {asked[0]}"]
    statements += [sql for sql in db.sent if "schema_name()" not in sql]
    broken = {sql: said for sql in [";\nGO\n".join(statements)] if (said := parse(sql).stderr)}
    if broken:
        pytest.fail("\n\n".join(f"{said}{sql}" for sql in statements if (said := parse(sql).stderr)))


@pytest.mark.parametrize(
    "stored",
    [
        Stored("v", "varbinary", -1, 0, 0),
        Stored("v", "varbinary", 1000, 0, 0),
        Stored("v", "image", 16, 0, 0),
        Stored("v", "geography", -1, 0, 0),
        Stored("v", "xml", -1, 0, 0),
        Stored("v", "text", 16, 0, 0, "Latin1_General_CI_AS"),
        Stored("v", "varchar", -1, 0, 0, "Latin1_General_CI_AS"),
        Stored("v", "varchar", 8000, 0, 0, "Latin1_General_CI_AS"),
    ],
)
def test_a_text_that_may_be_long_is_made_one_that_can_be_converted(stored: Stored) -> None:
    """It comes as ``ntext``, of which no bytes are made."""
    mark, _ = mssql_values.placed(stored, "x")
    assert "CONVERT(nvarchar(max), ?)" in mark


@pytest.mark.parametrize(
    "stored",
    [Stored("g", "uniqueidentifier", 16, 0, 0), Stored("g", "binary", 16, 0, 0), Stored("g", "varbinary", 999, 0, 0)],
)
def test_a_short_text_is_converted_at_once(stored: Stored) -> None:
    """So that an index finds what it is compared with."""
    mark, _ = mssql_values.placed(stored, "0x00")
    assert mark in {f"CONVERT({stored.type}, ?)", f"CONVERT({stored.type}, ?, 1)"}
