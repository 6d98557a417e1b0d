"""Reads a plain table as packed bytes: the server joins the values of a range of blocks, one value a column.

No driver but the ordinary one is needed, and no Python step is made a row. A range holds about ``batch_rows`` rows, so
that neither side ever holds more than a batch. The ranges are TID range scans, which PostgreSQL has since 14.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from mergeguard.core import guids
from mergeguard.core.table import Times
from mergeguard.storage.cells import database_cells
from mergeguard.storage.cells.text_guids import Places, guids_at
from mergeguard.storage.postgresql.columns import Form, Travelling
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Cells, GuidCells, Kind

ROWS_IN_A_BLOCK = 120
"""Two uuid columns and a number fill a block with about so many rows; wider rows make smaller batches."""
_LONG = frozenset({Form.BYTES, Form.TEXT})
"""Forms whose values differ in length."""
_EPOCH = np.datetime64("2000-01-01", "us")
_FIRST, _END = ((np.datetime64(day, "us") - _EPOCH).astype(np.int64) for day in ("0001-01-01", "10000-01-01"))
_NO_TIME = np.datetime64("NaT", "us")
_NOTHING: sa.ColumnElement[bytes] = sa.literal_column("''::bytea")
_IS_NULL: sa.ColumnElement[bytes] = sa.literal_column(r"'\x01'::bytea")
_IS_VALUE: sa.ColumnElement[bytes] = sa.literal_column(r"'\x00'::bytea")


def block_ranges(blocks: int, batch_rows: int) -> Iterator[tuple[int, int | None]]:
    """Yield (first, end) over all blocks; the last range has no end, for a table may have grown meanwhile."""
    step = max(1, batch_rows // ROWS_IN_A_BLOCK)
    starts = range(0, max(blocks, 1), step)
    for first in starts:
        yield first, None if first == starts[-1] else first + step


def packed(columns: Sequence[Travelling]) -> list[sa.ColumnElement[Any]]:
    """Return the aggregates that pack these columns; the number of rows comes first."""
    return [sa.func.count(), *(part for column in columns for part in _parts(column))]


def unpacked(columns: Sequence[Travelling], row: Sequence[bytes | int | None], order: ByteOrder) -> tuple[Cells, ...]:
    """Turn one row of the aggregates of ``packed`` into the cells of a batch."""
    # An aggregate over NULLs alone is NULL.
    values = iter([value if isinstance(value, bytes) else b"" for value in row[1:]])
    return tuple(_cells(column, [next(values) for _ in _parts(column)], order) for column in columns)


def _parts(column: Travelling) -> list[sa.ColumnElement[Any]]:
    """Return the packed values and, where the cells need it, the lengths or the NULLs."""
    if column.form in _LONG:
        return [
            _joined(column.sent),
            _joined(sa.func.int4send(sa.func.coalesce(sa.func.octet_length(column.sent), -1))),
        ]
    nulls = [_joined(sa.case((column.sent.is_(None), _IS_NULL), else_=_IS_VALUE))] if column.nullable else []
    return [_joined(column.sent), *nulls]


def _joined(value: sa.ColumnElement[object]) -> sa.ColumnElement[object]:
    return sa.func.string_agg(value, _NOTHING)


def _cells(column: Travelling, parts: Sequence[bytes], order: ByteOrder) -> Cells:
    if column.form in _LONG:
        return _long(column, parts[0], np.frombuffer(parts[1], ">i4").astype(np.intp), order)
    missing = np.frombuffer(parts[1], np.bool_) if len(parts) > 1 else np.zeros(0, np.bool_)
    if column.form is Form.UUID:
        return _uuids(parts[0], missing)
    numbers = np.frombuffer(parts[0], ">i8").astype(np.int64)
    if column.form is Form.TIME:
        return _times(numbers, missing)
    if not missing.any():
        return numbers
    if column.kind is Kind.INTEGER:
        return _spread(numbers, missing, -1)
    gone = zip(_spread(numbers, missing, 0).tolist(), missing.tolist(), strict=True)
    return database_cells.row_ids([None if null else number for number, null in gone])


def _times(numbers: npt.NDArray[np.int64], missing: guids.Bools) -> Times:
    """Return microseconds since 2000 as times; infinity and years that a calendar lacks are no time."""
    inside = (numbers >= _FIRST) & (numbers < _END)
    times = _EPOCH + np.where(inside, numbers, 0).view("m8[us]")
    times[~inside] = _NO_TIME
    return _spread(times, missing, _NO_TIME) if missing.any() else times


def _spread(values: npt.NDArray[Any], missing: guids.Bools, filler: object) -> npt.NDArray[Any]:
    """Put the values into the rows that have one, and the filler into the others."""
    spread = np.full(len(missing), filler, values.dtype)
    spread[~missing] = values
    return spread


def _uuids(data: bytes, missing: guids.Bools) -> GuidCells:
    if not missing.any():
        return GuidCells(guids.from_bytes(data))
    column = np.zeros((len(missing), 16), np.uint8)
    column[~missing] = guids.from_bytes(data)
    return GuidCells(column, dict.fromkeys(np.flatnonzero(missing).tolist()))


def _long(column: Travelling, data: bytes, lengths: Places, order: ByteOrder) -> Cells:
    """Turn values of any length, -1 for NULL, into cells."""
    missing = lengths < 0
    ends = np.cumsum(np.where(missing, 0, lengths))
    starts = ends - np.where(missing, 0, lengths)

    def values(rows: Places) -> list[bytes | None]:
        places = zip(starts[rows].tolist(), ends[rows].tolist(), missing[rows].tolist(), strict=True)
        return [None if null else data[start:end] for start, end, null in places]

    def texts(rows: Places) -> list[str | None]:
        return [None if value is None else value.decode() for value in values(rows)]

    everything = np.arange(len(lengths))
    if column.kind is Kind.GUID and column.form is Form.TEXT:
        return guids_at(np.frombuffer(data, np.uint8), starts, ends, texts)
    if column.kind is Kind.GUID and (lengths == 16).all():
        packed = guids.from_bytes(data)
        return GuidCells(guids.swap_sql_server(packed) if order == "sqlserver" else packed)
    if column.kind is Kind.GUID:
        return database_cells.guid_cells(values(everything), order)
    return database_cells.cells(column.kind, texts(everything))
