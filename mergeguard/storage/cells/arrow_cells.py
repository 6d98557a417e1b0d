"""Turns Arrow arrays into cells, without a Python object a value wherever the type allows it.

pyarrow itself is never imported here: the arrays bring all that is needed, so that this module costs nothing.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.table import Times
from mergeguard.storage.cells import database_cells, iso_times
from mergeguard.storage.cells.text_guids import Places, guids_at
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Cells, GuidCells, Kind

Array: TypeAlias = Any
"""A ``pyarrow.Array``."""
Buffer: TypeAlias = Any
"""A ``pyarrow.Buffer``, or ``None``."""
_BYTES = {"string": "int32", "binary": "int32", "large_string": "int64", "large_binary": "int64"}
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"})
_YEARS = np.array(["0001-01-01", "9999-12-31T23:59:59.999999"], "datetime64[us]")


def cells(kind: Kind, array: Array, byte_order: ByteOrder = "text") -> Cells:
    """Turn an Arrow array into the cells that ``source.Cells`` promises for its kind.

    ``byte_order`` speaks of plain 16-byte values; Arrow's own uuid type is in text order by definition.
    """
    if kind is Kind.TEXT and "uuid" in str(array.type):
        return [None if value is None else str(value) for value in array.to_pylist()]
    array, byte_order = _stored(array, byte_order)
    if kind is Kind.GUID:
        return guid_cells(array, byte_order)
    if kind is Kind.TIME:
        return times(array)
    if kind in {Kind.INTEGER, Kind.ROW_ID} and str(array.type) in _INTEGERS and not array.null_count:
        numbers: npt.NDArray[np.int64] = array.cast("int64").to_numpy()
        return numbers
    return database_cells.cells(kind, array.to_pylist(), byte_order)


def _stored(array: Array, byte_order: ByteOrder) -> tuple[Array, ByteOrder]:
    """Unpack dictionaries and extension types."""
    if str(array.type).startswith("dictionary<"):
        array = array.dictionary_decode()
    if str(array.type).startswith("extension<"):
        byte_order = "text" if "uuid" in str(array.type) else byte_order
        array = array.storage
    return array, byte_order


def guid_cells(array: Array, byte_order: ByteOrder = "text") -> GuidCells:
    """Read guids from 16-byte values or from texts of any spelling."""
    name = str(array.type)
    if name == "fixed_size_binary[16]":
        return _fixed(array, byte_order)
    if name not in _BYTES:
        return database_cells.guid_cells(array.to_pylist(), byte_order)
    offsets = _view(array.buffers()[1], _BYTES[name], array.offset, len(array) + 1).astype(np.intp)
    starts, ends = offsets[:-1], offsets[1:]
    if name.endswith("string"):
        return guids_at(_view(array.buffers()[2], "uint8"), starts, ends, lambda rows: _values(array, rows))
    if not array.null_count and (ends - starts == 16).all():
        packed = _view(array.buffers()[2], "uint8")[offsets[0] : offsets[-1]].reshape(-1, 16)
        return GuidCells(_in_text_order(packed, byte_order))
    return database_cells.guid_cells(array.to_pylist(), byte_order)


def _fixed(array: Array, byte_order: ByteOrder) -> GuidCells:
    packed = _view(array.buffers()[1], "uint8", array.offset * 16, len(array) * 16).reshape(-1, 16)
    column = _in_text_order(packed, byte_order)
    if not array.null_count:
        return GuidCells(column)
    rows = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
    column = column.copy()
    column[rows] = 0
    return GuidCells(column, dict.fromkeys(rows.tolist()))


def _in_text_order(packed: guids.Guids, byte_order: ByteOrder) -> guids.Guids:
    return guids.swap_sql_server(packed) if byte_order == "sqlserver" else packed


def _values(array: Array, rows: Places) -> list[object]:
    if len(rows) == len(array):
        return list(array.to_pylist())
    return [array[row].as_py() for row in rows.tolist()]


def _view(buffer: Buffer, dtype: str, offset: int = 0, length: int = -1) -> npt.NDArray[Any]:
    """View an Arrow buffer, which is missing where no row has a value."""
    if buffer is None or not buffer.size:
        return np.zeros(max(length, 0), dtype)
    return np.frombuffer(buffer, dtype, length, offset * np.dtype(dtype).itemsize)


def times(array: Array) -> Times:
    """Read points in time as UTC; NaT for NULL, for what is no time, and beyond the years 1 to 9999."""
    if not str(array.type).startswith(("timestamp[", "date")):
        values = array.to_pylist()
        texts = all(value is None or isinstance(value, str) for value in values)
        return iso_times.times(values) if texts else database_cells.times(values)
    found: Times = array.to_numpy(zero_copy_only=False).astype("datetime64[us]")
    inside = (found >= _YEARS[0]) & (found <= _YEARS[1])
    return found if inside.all() else np.where(inside, found, np.datetime64("NaT"))
