"""How the lookup is written to SQL Server: in which order, and what the chunks hold."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mergeguard import errors
from mergeguard.core import guids
from mergeguard.storage.lookup.database import GuidForm
from mergeguard.storage.mssql import lookup as mssql_lookup
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Lookup, Merge, Profile
from mergeguard.storage.source import LookupChange, Options

URL = sa.URL.create("mssql+pyodbc", "writer", host="db", database="cmdb")
OLD, NEW = uuid.UUID(int=1 << 120), uuid.UUID(int=2)


def opened(table: str = "merges") -> mssql.MssqlSource:
    return mssql.MssqlSource(URL, Profile(merge=Merge(table, "old", "new")), Options())


def change(
    upserts: Sequence[tuple[uuid.UUID, uuid.UUID | None, int]], deletes: Sequence[uuid.UUID] = (), *, full: bool = False
) -> LookupChange:
    has = np.array([current is not None for _, current, _ in upserts], np.bool_)
    return LookupChange(
        guids.from_uuids([old for old, _, _ in upserts]),
        guids.from_uuids([current or uuid.UUID(int=0) for _, current, _ in upserts]),
        has,
        np.array([depth for _, _, depth in upserts], np.int64),
        np.array(~has, np.uint8),
        ("ok", "cycle"),
        guids.from_uuids(list(deletes)),
        full,
    )  # fmt: skip


def write(server: Any, asked: LookupChange, table: str = "merges", arrived: int | None = None) -> list[int]:
    rows = len(asked.olds) + len(asked.deletes)
    server.answer("sp_getapplock", (0,))
    server.answer("COUNT_BIG", (rows if arrived is None else arrived,))
    seen: list[int] = []
    with closing(opened(table)) as source:
        source.write_lookup(Lookup(table="lookup"), asked, lambda _phase, done, _total: seen.append(done))
    return seen


def test_the_lookup_is_locked_only_when_all_of_it_has_arrived(server: Any) -> None:
    write(server, change([(OLD, NEW, 1)], [NEW]))
    order = server.order_of(
        "XACT_ABORT ON", "ANSI_PADDING ON", "CREATE TABLE #mergeguard_chunks", "sp_getapplock",
        r"CREATE TABLE \[lookup\]", "VALUES \\(\\?\\)", "CREATE TABLE #mergeguard_rows", "COUNT_BIG",
        "TABLOCKX", "DELETE t FROM", r"INSERT INTO \[lookup\]",
    )  # fmt: skip
    assert order == sorted(order)
    assert server.ended == ["commit", "close"] or server.ended[-2:] == ["rollback", "close"]
    assert "commit" in server.ended
    assert ("ok", "cycle") in server.parameters


def test_a_full_build_clears_the_table(server: Any) -> None:
    write(server, change([(OLD, NEW, 1)], full=True))
    assert "DELETE FROM [lookup]" in server.sent
    assert not [sql for sql in server.sent if sql.startswith("DELETE t")]


@pytest.mark.parametrize(
    ("table", "guid"), [("merges", "UNIQUEIDENTIFIER"), ("plain", "CHAR(36)"), ("raw", "BINARY(16)")]
)
def test_the_lookup_is_made_in_the_image_of_the_merge_table(server: Any, table: str, guid: str) -> None:
    write(server, change([(OLD, None, -1)]), table)
    created = next(sql for sql in server.sent if re.search(r"CREATE TABLE \[lookup\]", sql))
    assert re.search(rf"\[old_guid\] {re.escape(guid)} NOT NULL", created)
    inserted = next(sql for sql in server.sent if sql.startswith("INSERT INTO [lookup]"))
    assert ("LOWER(" in inserted) == (table == "plain")


def test_rows_that_got_lost_on_the_way_are_noticed(server: Any) -> None:
    with pytest.raises(errors.WriteFailed, match="1 rows were sent and 0 arrived"):
        write(server, change([(OLD, NEW, 1)]), arrived=0)
    assert "commit" not in server.ended


def test_a_build_waits_its_turn(server: Any) -> None:
    server.answer("COUNT_BIG", (1,))
    server.answer("sp_getapplock", (-1,))
    with closing(opened()) as source, pytest.raises(errors.Locked, match="another build"):
        source.write_lookup(Lookup(table="lookup"), change([(OLD, NEW, 1)]))
    assert "commit" not in server.ended


def test_a_failed_write_is_rolled_back_and_says_so(server: Any) -> None:
    server.fail(r"INSERT INTO \[lookup\]", "42000", "The INSERT permission was denied (229)")
    with pytest.raises(errors.PermissionDenied):
        write(server, change([(OLD, NEW, 1)]))
    assert "commit" not in server.ended


def test_a_lookup_in_another_database_is_refused(server: Any) -> None:
    with closing(opened()) as source, pytest.raises(errors.Unsupported):
        source.write_lookup(Lookup(table="other.dbo.lookup"), change([(OLD, NEW, 1)]))


@pytest.mark.parametrize(("driver", "arrays"), [("libmsodbcsql-18.3.so.2.1", True), ("libtdsodbc.so", False)])
def test_arrays_of_parameters_go_to_microsofts_driver_alone(server: Any, driver: str, arrays: bool) -> None:
    server.driver = driver
    write(server, change([(OLD, NEW, 1)]))
    assert server.arrays == [arrays]


@given(
    upserts=st.lists(st.tuples(st.uuids(), st.none() | st.uuids(), st.integers(0, 2**31 - 1)), max_size=500),
    deletes=st.lists(st.uuids(), max_size=300),
    swap=st.booleans(),
)
def test_chunks_hold_every_row_as_the_statement_takes_it_apart(
    upserts: list[tuple[uuid.UUID, uuid.UUID | None, int]], deletes: list[uuid.UUID], swap: bool
) -> None:
    asked = change(upserts, deletes)
    read: list[tuple[uuid.UUID, uuid.UUID | None, int | None, int]] = []
    for chunk in mssql_lookup.chunks(mssql_lookup.packed_rows(asked, swap=swap)):
        assert len(chunk) <= 8000
        for place in range(0, len(chunk), mssql_lookup.ROW_BYTES):  # as unpack_chunks has the server do
            row = chunk[place : place + mssql_lookup.ROW_BYTES]
            old, current = (
                uuid.UUID(bytes_le=part) if swap else uuid.UUID(bytes=part) for part in (row[:16], row[16:32])
            )
            has = row[36:37] == b"\x01"
            depth = int.from_bytes(row[32:36], "big", signed=True)
            read.append((old, current if has else None, depth if has else None, row[37]))
    expected = [(old, current, depth if current else None, int(current is None)) for old, current, depth in upserts]
    assert read == expected + [(old, None, None, mssql_lookup.DELETED) for old in deletes]


def test_progress_counts_the_rows_sent(server: Any) -> None:
    rows = mssql_lookup.ROWS_A_CHUNK * mssql_lookup.CHUNKS_AT_ONCE + 5
    asked = change([(uuid.UUID(int=number), NEW, 1) for number in range(rows)], full=True)
    assert write(server, asked) == [rows - 5, rows]
    assert sum(map(len, server.chunks)) == rows * mssql_lookup.ROW_BYTES


def test_a_build_has_the_merge_lock_before_it_reads_and_until_it_ends(server: Any) -> None:
    server.answer("sp_getapplock", (0,))
    server.answer("COUNT_BIG", (1,))
    server.answer("OBJECT_SCHEMA_NAME", ("dbo", "merges"))
    server.answer("sys.databases", (0, 0))
    with closing(opened()) as source, source.building(Lookup(table="lookup")) as building:
        locked = next(at for at, given in enumerate(server.parameters) if "Transaction" in given)
        assert server.parameters[locked][1:3] == ("Exclusive", "Transaction")
        before = len(server.ended)
        with building.reading() as snapshot:
            assert "READ COMMITTED" in snapshot.isolation
        assert len(server.connected) == 2
        # The reader came and went; the transaction with the lock is open still.
        assert server.ended[before:].count("close") == 1
        assert not building.is_spelled_otherwise()
        building.write(change([(OLD, NEW, 1)], full=True), lambda *_: None)
    assert locked < server.order_of("CREATE TABLE #mergeguard_chunks")[0]
    assert server.ended[-2:] == ["commit", "close"] or server.ended[-3:] == ["commit", "rollback", "close"]


def test_a_build_beside_a_repair_is_told_so(server: Any) -> None:
    server.answer("sp_getapplock", (-1,))
    server.answer("OBJECT_SCHEMA_NAME", ("dbo", "merges"))
    with closing(opened()) as source, pytest.raises(errors.Locked), source.building(Lookup(table="lookup")):
        pytest.fail("the lock was not to be had")
    assert server.ended[-1] == "close"


@pytest.mark.parametrize("form", ["text", "uuid", "bytes"])
def test_only_texts_can_be_spelled_otherwise(server: Any, form: GuidForm) -> None:
    with closing(opened()) as source, source.connect_to_write() as connection:
        writer = mssql_lookup.MssqlLookupWriter(source, connection, Lookup("lookup"))
        writer.form = form
        other = writer.other_spelling(sa.column("old", sa.CHAR(36)))
        assert (other is None) == (form != "text")
        if other is not None:
            sql = str(other.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
            pattern = "________-____-____-____-____________"
            assert sql == f"old NOT LIKE '{pattern}' OR lower(old) != old"
    assert server.ended[-1] == "close"
