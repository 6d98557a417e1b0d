"""Turns the Python values of any database driver into cells: the way every column can take.

The fast ways must give the same cells; the tests hold them to it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.table import Times
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Cells, GuidCells, Kind

BAD_CHARACTERS = 80
"""How much of a value that is no guid is kept for the report."""
_INT64 = range(-(2**63), 2**63)


def cells(kind: Kind, values: Sequence[object], byte_order: ByteOrder = "text") -> Cells:
    """Turn one column of a batch into the cells that ``source.Cells`` promises for its kind."""
    if kind is Kind.GUID:
        return guid_cells(values, byte_order)
    if kind is Kind.INTEGER:
        return integers(values)
    if kind is Kind.ROW_ID:
        return row_ids(values)
    if kind is Kind.TIME:
        return times(values)
    return [as_text(value) for value in values]


def guid_cells(values: Sequence[object], byte_order: ByteOrder = "text") -> GuidCells:
    """Read guids in any spelling; ``byte_order`` speaks of the values that are 16 raw bytes and of no others."""
    column, good = guids.parse_column(values)
    if byte_order == "sqlserver":
        column = _reordered(column, values)
    if good.all():
        return GuidCells(column)
    return GuidCells(column, {row: as_found(values[row]) for row in np.flatnonzero(~good).tolist()})


def _reordered(column: guids.Guids, values: Sequence[object]) -> guids.Guids:
    """Put the rows that were raw bytes into text order, and leave texts alone."""
    raw = [isinstance(value, bytes | bytearray | memoryview) and len(value) == 16 for value in values]
    if all(raw):
        return guids.swap_sql_server(column)
    chosen = np.array(raw, np.bool_)
    mixed = column.copy()
    mixed[chosen] = guids.swap_sql_server(column[chosen])
    return mixed


def as_found(value: object) -> str | None:
    """Show a value that is no guid to a person: cut to ``BAD_CHARACTERS``, ``None`` for NULL."""
    text = as_text(value)
    return None if text is None else text[:BAD_CHARACTERS]


def as_text(value: object) -> str | None:
    """Return a value as text; bytes that are no printable text as ``0x`` and hex; ``None`` for NULL."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes_text(bytes(value))
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return str(value)


def _bytes_text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text if text.isprintable() else "0x" + raw.hex()


def integers(values: Sequence[object]) -> npt.NDArray[np.int64]:
    """Read whole numbers; NULL and what is no 64-bit whole number become -1."""
    plain = _plain_integers(values)
    if plain is not None:
        return plain
    numbers = [_whole(value) for value in values]
    return np.array([-1 if number is None else number for number in numbers], np.int64)


def row_ids(values: Sequence[object]) -> npt.NDArray[np.int64] | list[str]:
    """Read row ids: numbers where all of the batch are, else texts (NULL as the empty text)."""
    plain = _plain_integers(values)
    if plain is not None:
        return plain
    numbers = [None if isinstance(value, str) else _whole(value) for value in values]
    whole = [number for number in numbers if number is not None]
    if len(whole) == len(values):
        return np.array(whole, np.int64)
    return [as_text(value) or "" for value in values]


def _plain_integers(values: Sequence[object]) -> npt.NDArray[np.int64] | None:
    """Read a column of nothing but ints of 64 bits without a Python step a value."""
    if not set(map(type, values)) <= {int}:
        return None
    try:
        return np.fromiter(cast("Sequence[int]", values), np.int64, len(values))
    except OverflowError:
        return None


def _whole(value: object) -> int | None:
    """Return a number without a fraction as an int, or ``None``."""
    try:
        number = int(value)  # type: ignore[call-overload]
        same = isinstance(value, str) or number == value
    except (TypeError, ValueError, OverflowError):
        return None
    return number if same and number in _INT64 else None


def times(values: Sequence[object]) -> Times:
    """Read points in time in UTC: datetimes, dates and ISO 8601 texts; without a zone they are taken as UTC."""
    return np.array([_utc(value) for value in values], "datetime64[us]")


def _utc(value: object) -> dt.datetime | None:
    """Return a naive UTC datetime, or ``None`` for what is no time."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, dt.datetime):
        try:
            return value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
        except OverflowError:
            return None
    return dt.datetime(value.year, value.month, value.day) if isinstance(value, dt.date) else None  # noqa: DTZ001 - UTC by contract
