"""Rows that SQL Server packs come apart into the cells that a plain driver's values would have given."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mssql

from mergeguard.core import guids
from mergeguard.storage.cells.database_cells import cells
from mergeguard.storage.mssql import arrow as mssql_arrow
from mergeguard.storage.mssql import columns as mssql_columns
from mergeguard.storage.mssql.cells import Strings, unpacked
from mergeguard.storage.mssql.columns import Form, Statement
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Cells, Column, GuidCells, Kind, Selection

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - SQL Server's times have no zone
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
SPELLED = st.none() | st.uuids().flatmap(lambda g: st.sampled_from([str(g), str(g).upper(), f"{{{g}}}", g.hex]))
TIMES = st.none() | st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))  # noqa: DTZ001 - as above
KINDS: dict[str, tuple[Kind, sa.types.TypeEngine[object], st.SearchStrategy[object]]] = {
    "guid": (Kind.GUID, mssql.UNIQUEIDENTIFIER(), st.none() | st.uuids()),
    "raw": (Kind.GUID, sa.BINARY(16), st.none() | st.binary(min_size=16, max_size=16)),
    "bytes": (Kind.GUID, sa.VARBINARY(40), st.none() | st.binary(max_size=20)),
    "spelled": (Kind.GUID, sa.CHAR(38), SPELLED | TEXTS),
    "number": (Kind.INTEGER, sa.BIGINT(), st.none() | st.integers(-(2**63), 2**63 - 1)),
    "id": (Kind.ROW_ID, sa.BIGINT(), st.none() | st.integers(-(2**63), 2**63 - 1)),
    "text id": (Kind.ROW_ID, sa.NVARCHAR(50), TEXTS),
    "text": (Kind.TEXT, sa.NVARCHAR(50), TEXTS),
    "time": (Kind.TIME, mssql.DATETIME2(), TIMES),
}


def statement(names: Sequence[str]) -> Statement:
    columns = tuple(Column(name, KINDS[name][0]) for name in names)
    types = {name: KINDS[name][1] for name in names}
    return mssql_columns.select(Selection(columns, "t"), "[t]", types, lambda name: f"[{name}]")


def as_server(form: Form, value: object) -> bytes | None:
    """Write one value as the server does: an independent reading of T-SQL's conversion rules."""
    if value is None:
        return None
    if isinstance(value, uuid.UUID):
        return value.bytes_le
    if form is Form.TIME:
        micros = (value - EPOCH) // dt.timedelta(microseconds=1)  # type: ignore[operator]
        return micros.to_bytes(8, "big", signed=True)
    if isinstance(value, int):
        return value.to_bytes(8, "big", signed=True)
    return value.encode("utf-16-le") if isinstance(value, str) else value  # type: ignore[return-value]


def sent(asked: Statement, rows: Sequence[Sequence[object]]) -> list[list[bytes | None]]:
    """Return the columns of the result set: the packed one first, then those beside it."""
    packed, beside = [], []
    for row in rows:
        travelling = list(zip(asked.columns, row, strict=True))
        values = [(as_server(column.form, value), column.width) for column, value in travelling if column.width]
        flags = sum((value is None) << bit for bit, (value, _) in enumerate(values))
        packed.append(flags.to_bytes(asked.flag_bytes, "little") + b"".join(v or bytes(width) for v, width in values))
        beside.append([as_server(column.form, value) for column, value in travelling if not column.width])
    columns = [list(column) for column in zip(*beside, strict=True)] or [[] for _ in asked.beside]
    return [packed, *columns] if asked.packed else columns


def plain(name: str, values: Sequence[object], order: ByteOrder) -> Cells:
    """Return what the row-by-row way makes of a driver's values."""
    return cells(KINDS[name][0], [str(value) if isinstance(value, uuid.UUID) else value for value in values], order)


def same(one: Cells, other: Cells) -> bool:
    if isinstance(one, GuidCells):
        return isinstance(other, GuidCells) and one.bad == other.bad and np.array_equal(one.column, other.column)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "M")
    return list(one) == list(other)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[tuple[object, ...]]]:
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=12))
    rows = st.tuples(*(KINDS[name][2] for name in names))
    return names, draw(st.lists(rows, min_size=1, max_size=8))


@given(tables(), st.sampled_from(["text", "sqlserver"]))
def test_packed_rows_give_the_cells_of_plain_values(
    table: tuple[list[str], list[tuple[object, ...]]], order: ByteOrder
) -> None:
    names, rows = table
    asked = statement(names)
    batch = unpacked(asked, [Strings.of(column) for column in sent(asked, rows)], order)
    for name, found, values in zip(names, batch, zip(*rows, strict=True), strict=True):
        assert same(found, plain(name, values, order)), name


@given(tables())
def test_arrow_and_pyodbc_give_the_same_cells(table: tuple[list[str], list[tuple[object, ...]]]) -> None:
    names, rows = table
    asked = statement(names)
    columns = sent(asked, rows)
    arrow = [pa.array(column, pa.binary()) for column in columns]
    by_arrow = unpacked(asked, [mssql_arrow.strings(column) for column in arrow], "text")
    by_pyodbc = unpacked(asked, [Strings.of(column) for column in columns], "text")
    assert all(same(one, other) for one, other in zip(by_arrow, by_pyodbc, strict=True))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@given(data=st.data())
def test_a_slice_of_an_arrow_array_is_the_same_strings(kind: pa.DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | st.binary(max_size=9), max_size=9))
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(values))] * 2)))
    sliced = pa.array(values, kind)[start:stop]
    assert mssql_arrow.strings(sliced).values() == Strings.of(values[start:stop]).values() == values[start:stop]


@given(st.lists(st.uuids(), min_size=1))
def test_a_guid_comes_back_from_the_bytes_of_a_uniqueidentifier(values: list[uuid.UUID]) -> None:
    asked = statement(["guid"])
    (found,) = unpacked(asked, [Strings.of([b"\0" + value.bytes_le for value in values])], "text")
    assert isinstance(found, GuidCells)
    assert guids.to_uuids(found.column) == values
    assert guids.swap_sql_server(found.column).tobytes() == b"".join(value.bytes_le for value in values)


def test_half_a_surrogate_pair_is_a_malformed_guid_and_no_crash() -> None:
    cut = "\N{GRINNING FACE}".encode("utf-16-le")[:2]
    (found,) = unpacked(statement(["spelled"]), [Strings.of([cut, None])], "text")
    assert isinstance(found, GuidCells)
    assert found.bad == {0: "\N{REPLACEMENT CHARACTER}", 1: None}


def test_times_of_arrow_are_cut_to_microseconds() -> None:
    array = pa.array([1_234_567_891, None], pa.timestamp("ns"))
    assert mssql_arrow.values(array) == [EPOCH + dt.timedelta(seconds=1, microseconds=234_567), None]
    assert mssql_arrow.values(pa.array(["a", None])) == ["a", None]
