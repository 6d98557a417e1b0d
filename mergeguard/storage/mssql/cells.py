"""Takes the rows that ``columns`` had packed apart again, a batch at a time, with NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.storage.cells import database_cells
from mergeguard.storage.cells.text_guids import guids_at
from mergeguard.storage.mssql.columns import Form, Statement, Travelling
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Batch, Cells, GuidCells, Kind

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Strings:
    """A column of byte strings: all of them one after the other, and the length of each, -1 for NULL."""

    data: bytes | memoryview
    lengths: Integers

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Strings:
        """Join the values of a column that was fetched one by one."""
        try:
            return cls(b"".join(values), np.fromiter(map(len, values), np.int64, len(values)))  # type: ignore[arg-type]
        except TypeError:  # a NULL
            lengths = np.fromiter((-1 if value is None else len(value) for value in values), np.int64, len(values))
            return cls(b"".join(filter(None, values)), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> Integers:
        """Where each value begins."""
        taken = np.maximum(self.lengths, 0)
        return np.cumsum(taken) - taken

    def values(self) -> list[bytes | None]:
        """Return the values one by one."""
        data, places = bytes(self.data), zip(self.starts.tolist(), self.lengths.tolist(), strict=True)
        return [None if length < 0 else data[start : start + length] for start, length in places]


def unpacked(statement: Statement, columns: Sequence[Strings], order: ByteOrder) -> Batch:
    """Turn fetched columns (the packed one first, where there is one) into the cells of a batch."""
    fetched = iter(columns)
    rows = _rows(next(fetched), statement.width) if statement.packed else None
    places = _places(statement)
    batch: list[Cells] = []
    for column in statement.columns:
        if rows is None or not column.width:
            batch.append(_beside(column, next(fetched), order))
        else:
            at, flag = next(places)
            missing = (rows[:, flag // 8] >> (flag % 8) & 1).astype(np.bool_)
            batch.append(_cells(column, rows[:, at : at + column.width], missing, order))
    return tuple(batch)


def _rows(packed: Strings, width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(packed.data, np.uint8).reshape(-1, width)


def _places(statement: Statement) -> Iterator[tuple[int, int]]:
    """Yield where each packed column begins and the number of its NULL flag."""
    at = statement.flag_bytes
    for flag, column in enumerate(statement.packed):
        yield at, flag
        at += column.width


def _cells(column: Travelling, raw: npt.NDArray[np.uint8], missing: guids.Bools, order: ByteOrder) -> Cells:
    if column.kind is Kind.GUID:
        swap = column.form is Form.UNIQUEIDENTIFIER or order == "sqlserver"
        found = guids.swap_sql_server(raw) if swap else np.ascontiguousarray(raw)
        return GuidCells(found, dict.fromkeys(np.flatnonzero(missing).tolist()))
    numbers = np.ascontiguousarray(raw).view(">i8").reshape(-1).astype(np.int64)
    if column.kind is Kind.TIME:
        times = numbers.view("datetime64[us]")
        times[missing] = np.datetime64("NaT")
        return times
    if column.kind is Kind.ROW_ID and missing.any():
        gone = zip(numbers.tolist(), missing.tolist(), strict=True)
        return database_cells.row_ids([None if null else number for number, null in gone])
    numbers[missing] = -1
    return numbers


def _beside(column: Travelling, strings: Strings, order: ByteOrder) -> Cells:
    if column.form is Form.BYTES:
        return database_cells.cells(column.kind, strings.values(), order)
    if column.kind is Kind.GUID:
        return _text_guids(strings)
    return database_cells.cells(column.kind, [_text(value) for value in strings.values()])


def _text_guids(strings: Strings) -> GuidCells:
    """Read guids that travelled as text; where all characters are Latin ones, without a Python step each."""
    data = np.frombuffer(strings.data, np.uint8)
    if data[1::2].any():
        return database_cells.guid_cells([_text(value) for value in strings.values()])
    starts = (strings.starts // 2).astype(np.intp)
    ends = starts + np.maximum(strings.lengths, 0) // 2

    def texts(rows: npt.NDArray[np.intp]) -> list[str | None]:
        places = zip(starts[rows].tolist(), ends[rows].tolist(), (strings.lengths[rows] < 0).tolist(), strict=True)
        return [
            None if null else bytes(strings.data[2 * start : 2 * end]).decode("utf-16-le")
            for start, end, null in places
        ]

    return guids_at(np.ascontiguousarray(data[::2]), starts, ends, texts)


def _text(value: bytes | None) -> str | None:
    """Decode UTF-16; half a surrogate pair becomes a question mark in a lozenge, not an error."""
    return None if value is None else value.decode("utf-16-le", "replace")
