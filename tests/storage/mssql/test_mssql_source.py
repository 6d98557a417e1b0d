"""What the SQL Server source sends when it reads, seen through a driver that only writes it down."""

from __future__ import annotations

import re
import sys
import uuid
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from mergeguard import errors
from mergeguard.core import guids
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Column, GuidCells, Kind, Options, Selection

WORD = "p;w}d Geheim"
URL = sa.URL.create("mssql+pyodbc", "reader", WORD, "db", 1433, "cmdb")
OLD, NEW = uuid.UUID(int=1 << 120), uuid.UUID(int=2)
PACKED = b"\x02" + OLD.bytes_le + bytes(16) + (7).to_bytes(8, "big")


def opened(table: str = "merges", **options: Any) -> mssql.MssqlSource:
    return mssql.MssqlSource(URL, Profile(merge=Merge(table, "old", "new", "id")), Options(**options))


MERGES = Selection((Column("old", Kind.GUID), Column("NEW", Kind.GUID), Column("id", Kind.ROW_ID)), "merges")


def test_a_table_is_read_packed_and_its_nulls_are_exact(server: Any) -> None:
    server.answer(r"FROM \[merges\]", (PACKED,), (PACKED,))
    with closing(opened(batch_rows=1)) as source, source.snapshot() as snapshot:
        batches = list(snapshot.read(MERGES))
    assert len(batches) == 2
    old, new, ids = batches[0]
    assert isinstance(old, GuidCells)
    assert isinstance(new, GuidCells)
    assert guids.to_uuids(old.column) == [OLD]
    assert (dict(old.bad), dict(new.bad)) == ({}, {0: None})
    assert np.array_equal(ids, [7])  # type: ignore[arg-type]


def test_the_catalogue_says_how_many_rows_to_expect(server: Any) -> None:
    server.answer(r"sys\.partitions", (12,))
    server.answer(r"FROM \[merges\]", (PACKED,))
    with closing(opened()) as source, source.snapshot() as snapshot:
        seen: list[tuple[str, int, int | None]] = []
        list(snapshot.read(MERGES, lambda *progress: seen.append(progress), "merges"))
        assert snapshot.expected(Selection(MERGES.columns, query="SELECT 1")) is None
    assert seen == [("merges", 1, 12)]
    assert server.parameters[server.order_of(r"sys\.partitions")[0]] == ("[merges]",)


def test_reading_sends_nothing_but_select_and_set(server: Any) -> None:
    server.answer(r"FROM \[merges\]", (PACKED,))
    server.answer("a query", (str(NEW).upper(),))
    server.answer("HAS_PERMS_BY_NAME.*OBJECT", (1, 1, 0, None))
    server.answer("VIEW SERVER STATE", (1,))
    server.answer("encrypt_option", ("TRUE",))
    with closing(opened()) as source:
        with source.snapshot() as snapshot:
            list(snapshot.read(MERGES))
            (guid,) = next(iter(snapshot.read(Selection((Column("g", Kind.GUID),), query="SELECT g /* a query */"))))
            snapshot.tables()
        source.doctor()
    assert isinstance(guid, GuidCells)
    assert guids.to_uuids(guid.column) == [NEW]
    assert {sql.split()[0].upper() for sql in server.sent} == {"SELECT", "SET"}
    assert not [sql for sql in server.sent if re.search("NOLOCK|READ UNCOMMITTED|INTO", sql)]
    assert server.ended[-1] == "close"


@pytest.mark.parametrize(
    ("state", "words", "level", "notes"),
    [
        ((1, False), "snapshot (", "SNAPSHOT", 0),
        ((1, True), "snapshot (", "SNAPSHOT", 0),
        ((0, True), "with row versions", "READ COMMITTED", 1),
        ((0, False), "not one consistent snapshot", "READ COMMITTED", 1),
        ((3, False), "not one consistent snapshot", "READ COMMITTED", 1),
    ],
)
def test_the_isolation_is_the_best_that_the_database_allows(
    server: Any, state: tuple[int, bool], words: str, level: str, notes: int
) -> None:
    server.answer("snapshot_isolation_state", state)
    with closing(opened(lock_timeout=2.5)) as source, source.snapshot() as snapshot:
        assert words in snapshot.isolation
        assert len(snapshot.notes) == notes
        assert (level == "SNAPSHOT") == snapshot.consistent
    assert f"SET TRANSACTION ISOLATION LEVEL {level}" in server.sent
    assert "SET LOCK_TIMEOUT 2500" in server.sent
    assert "SET DEADLOCK_PRIORITY LOW" in server.sent


def test_what_doctor_says(server: Any) -> None:
    server.answer("HAS_PERMS_BY_NAME.*OBJECT", (1, 0, 0, 0))
    server.answer("VIEW SERVER STATE", (0,))
    with closing(opened()) as source:
        rows = {check: (finding, fine) for check, finding, fine in source.doctor()}
    assert rows["server"][0] == "SQL Server 16.0.4135.4 (Developer Edition)"
    assert rows["odbc"][0] == "pyodbc 5.5.0, libmsodbcsql-18.3.so.2.1 18.03.0002"
    assert rows["write permission"] == ("this login may not write it", True)
    assert "VIEW SERVER STATE" in rows["encryption"][0]
    server.answer("HAS_PERMS_BY_NAME.*OBJECT", (0, 1, 1, 1))
    server.answer("VIEW SERVER STATE", (1,))
    server.answer("encrypt_option", ("FALSE",))
    with closing(opened()) as source:
        rows = {check: (finding, fine) for check, finding, fine in source.doctor()}
    assert rows["read permission"] == ("no SELECT on the merge table", False)
    assert "INSERT, UPDATE, DELETE" in rows["write permission"][0]
    assert "in clear" in rows["encryption"][0]
    with closing(opened("elsewhere")) as source:
        assert "read permission" not in [check for check, _, _ in source.doctor()]


def test_the_driver_alone_gets_the_password(server: Any) -> None:
    with closing(opened()) as source, source.snapshot():
        shown = [repr(source.engine), str(source.engine.url), repr(source.info), repr(source.engine.pool)]
        assert not [text for text in shown if WORD in text]
    assert "PWD={p;w}}d Geheim}" in server.connected[0]
    assert "APP=MergeGuard" in server.connected[0]
    assert sys.modules["pyodbc"].pooling is False


def test_a_refused_connection_says_why_without_the_password(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str, **_options: object) -> None:
        raise sys.modules["pyodbc"].InterfaceError(
            "28000", f"[28000] [SQL Server]Login failed: {text} (18456) (SQLDriverConnect)"
        )

    monkeypatch.setattr(sys.modules["pyodbc"], "connect", refuse)
    with closing(opened()) as source, pytest.raises(errors.LoginFailed) as caught, source.snapshot():
        pass
    assert "Geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"), [("lock (1222)", errors.Locked), ("denied (229)", errors.PermissionDenied)]
)
def test_a_failure_in_the_middle_is_translated(server: Any, text: str, expected: type[Exception]) -> None:
    server.fail(r"FROM \[merges\]", "42000", text)
    with closing(opened()) as source, source.snapshot() as snapshot, pytest.raises(expected):
        list(snapshot.read(MERGES))


@pytest.mark.parametrize("name", ["cmdb.dbo.merges", "far.cmdb.dbo.merges", "other..merges"])
def test_a_table_of_another_database_is_refused_with_the_way_there(server: Any, name: str) -> None:
    with closing(opened()) as source, source.snapshot() as snapshot:
        with pytest.raises(errors.UnknownSchema, match="would lie in another database") as caught:
            snapshot.has_table(name)
        assert caught.value.hint == "put the database into the URL, and name the table as dbo.merges"
        assert snapshot.find("dbo.merges") == ("dbo", "merges")


def test_names_that_are_not_there(server: Any) -> None:
    with closing(opened()) as source, source.snapshot() as snapshot:
        assert snapshot.has_table("Merges")
        assert snapshot.has_table("DBO.merges")
        assert not snapshot.has_table("other.merges")
        assert snapshot.tables() == ["merges", "plain", "raw"]
        with pytest.raises(errors.UnknownSchema) as caught:
            list(snapshot.read(Selection((Column("odl", Kind.GUID),), "merges")))
        assert "old" in str(caught.value.hint)


# --- arrow-odbc. ---


def test_all_data_of_a_snapshot_comes_through_one_arrow_transaction(server: Any, arrow: Any) -> None:
    query = Selection((Column("g", Kind.GUID),), query="SELECT g /* query */")
    with closing(opened()) as source, source.snapshot() as snapshot:
        ((old, _, _),) = snapshot.read(MERGES)
        ((live,),) = snapshot.read(query)
        assert snapshot.notes == []
    assert isinstance(old, GuidCells)
    assert isinstance(live, GuidCells)
    assert guids.to_uuids(old.column) == [OLD]
    assert guids.to_uuids(live.column) == [NEW]
    connect, *settings = arrow.sent[:5]
    assert connect.startswith("connect False ")
    assert settings == [
        "SET LOCK_TIMEOUT 10000", "SET DEADLOCK_PRIORITY LOW", "SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "commit",
    ]  # fmt: skip
    assert arrow.sent[-1] == "rollback"
    assert not [sql for sql in server.sent if "[merges]" in sql]


def test_a_read_through_another_connection_is_told(server: Any, arrow: Any) -> None:
    server.answer("asked", (str(NEW), 2))
    selection = Selection((Column("g", Kind.GUID),), query="SELECT g FROM t", counted=True)
    with closing(opened()) as source, source.snapshot() as snapshot:
        list(snapshot.read(selection))
        assert snapshot.notes == [mssql.TWO_MOMENTS_NOTE]


def test_a_query_with_too_few_columns(arrow: Any) -> None:
    columns = (Column("a", Kind.GUID), Column("b", Kind.TEXT))
    with closing(opened()) as source, source.snapshot() as snapshot, pytest.raises(errors.UnknownSchema):
        list(snapshot.read(Selection(columns, query="SELECT a /* query */")))


def test_the_fast_driver_is_left_alone_where_it_is_not_wanted(server: Any, arrow: Any) -> None:
    server.answer(r"FROM \[merges\]", (PACKED,))
    with closing(opened(fast=False)) as source, source.snapshot() as snapshot:
        list(snapshot.read(MERGES))
    assert arrow.sent == []


def test_types_of_the_servers_own_warn_nobody(server: Any) -> None:
    with closing(opened()) as source:
        dialect: Any = source.engine.dialect
        for name in mssql.TYPES_OF_THEIR_OWN:
            assert isinstance(dialect.ischema_names[name](), sa.types.NullType)
        assert isinstance(dialect.ischema_names["int"](), sa.Integer)
    assert "hierarchyid" not in type(dialect).ischema_names, "other engines of the process are left as they are"
