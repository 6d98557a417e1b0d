"""How one column's values are joined by SQL and taken apart again, for each kind of column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from mergeguard.core import guids
from mergeguard.storage.cells import database_cells, iso_times
from mergeguard.storage.database.snapshot import DatabaseSnapshot
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Cells, GuidCells, Kind, Selection

Value: TypeAlias = sa.ColumnElement[Any]
_SAMPLE = 100
_SEPARATOR = "\x1f"
"""Between texts; a text that holds it is noticed by the count."""
_NULL = "\x1e"
_MARK = b"\x1eno value\x1e"
"""Repeated to the size of a guid."""
_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {"blob": sa.LargeBinary(), "text": sa.Text()}


@dataclass(frozen=True, slots=True)
class Packing:
    """Which rows take part, how SQL joins their values, and how Python reads them.

    Where a packing is ``nullable``, NULL is joined as a mark of its own. A value that looks like the mark is no harm:
    there are then more marks than NULLs, and the chunk is read row by row.
    """

    value: Value
    usual: Value
    joined: Value
    read: Callable[[bytes, int, int], Cells | None]
    """From the joined values, their number and the number of NULLs; ``None`` where the three do not match."""
    nullable: bool = False
    """Whether rows with NULL take part; without them nobody need count them."""


def guids_of(value: Value, stored: str, size: int, byte_order: ByteOrder, *, nullable: bool) -> Packing:
    """Pack guids that are stored as ``stored`` (blob or text) and take ``size`` bytes or characters."""
    mark = (_MARK * size)[:size]

    def read(packed: bytes, count: int, nulls: int) -> Cells | None:
        # A text of so many characters has at least as many bytes: where the sum is right, every one of them is.
        if len(packed) != size * count:
            return None
        cells = np.frombuffer(packed, np.uint8).reshape(count, size)
        missing = np.flatnonzero(cells.view(f"V{size}")[:, 0] == np.void(mark)).tolist() if nulls else []
        return _guid_cells(cells, stored, byte_order, missing) if len(missing) == nulls else None

    usual = sa.and_(_is_stored(value, stored), sa.func.length(value) == sa.literal_column(str(size)))
    joined = value
    if nullable:
        marker: sa.BindParameter[Any] = sa.bindparam(
            None, mark if stored == "blob" else mark.decode("ascii"), _TYPES[stored]
        )
        usual, joined = sa.or_(usual, value.is_(None)), sa.func.coalesce(value, marker)
    return Packing(value, usual, sa.func.group_concat(joined, sa.literal_column("''")), read, nullable)


def integers(value: Value, *, nullable: bool) -> Packing:
    """Pack whole numbers as decimal digits, NULL as -1: what it is read as."""
    usual, joined = _is_stored(value, "integer"), value
    if nullable:
        usual, joined = sa.or_(usual, value.is_(None)), sa.func.coalesce(value, sa.literal_column("-1"))
    return Packing(value, usual, sa.func.group_concat(joined, sa.literal_column("','")), _numbers, nullable)


def keys(value: Value) -> Packing:
    """Pack row ids, which are numbers by definition."""
    return Packing(value, sa.true(), sa.func.group_concat(value, sa.literal_column("','")), _numbers)


def texts(value: Value, kind: Kind, *, nullable: bool) -> Packing:
    """Pack texts (``Kind.TEXT``) or times written as texts (``Kind.TIME``)."""

    def read(packed: bytes, count: int, nulls: int) -> Cells | None:
        found: list[Any] = packed.decode("utf-8", "replace").split(_SEPARATOR) if count else []
        if len(found) != count or (nulls and found.count(_NULL) != nulls):
            return None
        if nulls:
            found = [None if text == _NULL else text for text in found]
        return iso_times.times(found) if kind is Kind.TIME else found

    usual, joined = _is_stored(value, "text"), value
    if nullable:
        usual, joined = sa.or_(usual, value.is_(None)), sa.func.coalesce(value, sa.bindparam(None, _NULL, sa.Text))
    return Packing(value, usual, sa.func.group_concat(joined, sa.bindparam(None, _SEPARATOR, sa.Text)), read, nullable)


def sample(snapshot: DatabaseSnapshot, table: str | None, column: str) -> sa.Select[Any]:
    """Return the query of (storage class, length, number) of a column's first values, most frequent first."""
    value: sa.ColumnClause[Any] = sa.column(sa.quoted_name(column, quote=True))
    place = snapshot.from_clause(Selection((), table))
    kinds = sa.select(sa.func.typeof(value).label("stored"), sa.func.length(value).label("size"))
    first = kinds.select_from(place).where(value.is_not(None)).limit(_SAMPLE).subquery("first_values")
    counted = sa.select(first.c.stored, first.c.size, sa.func.count()).group_by(first.c.stored, first.c.size)
    return counted.order_by(sa.func.count().desc(), first.c.stored, first.c.size)


def _numbers(packed: bytes, count: int, _nulls: int) -> Cells | None:
    numbers = np.fromstring(packed.decode("ascii"), np.int64, sep=",")
    return numbers if len(numbers) == count else None


def _is_stored(value: Value, stored: str) -> Value:
    if stored == "blob":
        # Cheaper than typeof: nothing but a blob sorts behind the empty blob.
        return sa.collate(value, "BINARY") >= sa.literal_column("x''")
    return sa.func.typeof(value) == sa.literal_column(f"'{stored}'")


def _guid_cells(cells: npt.NDArray[np.uint8], stored: str, byte_order: ByteOrder, missing: Sequence[int]) -> GuidCells:
    """Read guids of one size; the rows ``missing`` are NULL."""
    size = cells.shape[1]
    if stored == "blob" and size == 16:
        column = guids.swap_sql_server(cells) if byte_order == "sqlserver" else cells
        return GuidCells(column) if not missing else _without(column, missing)
    if size == 36 and not missing:
        column, good = guids.from_texts(cells)
        if good.all():
            return GuidCells(column)
    packed = cells.tobytes()
    values: list[Any] = [packed[at : at + size] for at in range(0, len(packed), size)]
    if stored == "text":
        values = [text.decode("utf-8", "replace") for text in values]
    for row in missing:
        values[row] = None
    return database_cells.guid_cells(values, byte_order)


def _without(column: guids.Guids, missing: Sequence[int]) -> GuidCells:
    column = column.copy()
    column[missing] = 0
    return GuidCells(column, dict.fromkeys(missing))
