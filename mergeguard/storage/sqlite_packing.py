"""How one column's values are joined by SQL and taken apart again, for each kind of column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from mergeguard.core import guids
from mergeguard.storage import database_cells, iso_times
from mergeguard.storage.database_snapshot import DatabaseSnapshot
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Cells, GuidCells, Kind, Selection

Value: TypeAlias = sa.ColumnElement[Any]
_SAMPLE = 100
_SEPARATOR = "\x1f"
"""Between texts; a text that holds it is noticed by the count."""
_NULL = "\x1e"
"""Stands for NULL among texts; a text that is just this travels alone."""


@dataclass(frozen=True, slots=True)
class Packing:
    """Which rows take part, how SQL joins their values, and how Python reads them."""

    usual: Value
    joined: Value
    read: Callable[[bytes, int], Cells | None]
    """From the joined values and their number; ``None`` where the two do not match."""


def guids_of(value: Value, stored: str, size: int, byte_order: ByteOrder) -> Packing:
    """Pack guids that are all stored as ``stored`` (blob or text) and take ``size`` bytes or characters."""

    def read(packed: bytes, count: int) -> Cells | None:
        # A text of so many characters has at least as many bytes: where the sum is right, every one of them is.
        if len(packed) != size * count:
            return None
        return _guid_cells(np.frombuffer(packed, np.uint8).reshape(count, size), stored, byte_order)

    usual = sa.and_(_is_stored(value, stored), sa.func.length(value) == sa.literal_column(str(size)))
    return Packing(usual, sa.func.group_concat(value, sa.literal_column("''")), read)


def integers(value: Value, *, certain: bool = False) -> Packing:
    """Pack whole numbers as decimal digits; ``certain`` where the column cannot hold anything else."""

    def read(packed: bytes, count: int) -> Cells | None:
        numbers = np.fromstring(packed.decode("ascii"), np.int64, sep=",")
        return numbers if len(numbers) == count else None

    return Packing(
        sa.true() if certain else _is_stored(value, "integer"),
        sa.func.group_concat(value, sa.literal_column("','")),
        read,
    )


def texts(value: Value, kind: Kind) -> Packing:
    """Pack texts (``Kind.TEXT``) or times written as texts (``Kind.TIME``), NULL among them."""

    def read(packed: bytes, count: int) -> Cells | None:
        found = packed.decode("utf-8", "replace").split(_SEPARATOR)
        if len(found) != count:
            return None if count else []
        values: Sequence[str | None] = [None if text == _NULL else text for text in found] if _NULL in found else found
        return iso_times.times(values) if kind is Kind.TIME else values

    null, separator = sa.bindparam(None, _NULL, sa.Text), sa.bindparam(None, _SEPARATOR, sa.Text)
    usual = sa.or_(
        value.is_(None), sa.and_(_is_stored(value, "text"), sa.cast(value, sa.LargeBinary) != _NULL.encode())
    )
    return Packing(usual, sa.func.group_concat(sa.func.coalesce(value, null), separator), read)


def sample(snapshot: DatabaseSnapshot, table: str | None, column: str) -> sa.Select[Any]:
    """Return the query of (storage class, length, number) of a column's first values, most frequent first."""
    value: sa.ColumnClause[Any] = sa.column(sa.quoted_name(column, quote=True))
    place = snapshot.from_clause(Selection((), table))
    kinds = sa.select(sa.func.typeof(value).label("stored"), sa.func.length(value).label("size"))
    first = kinds.select_from(place).where(value.is_not(None)).limit(_SAMPLE).subquery("first_values")
    counted = sa.select(first.c.stored, first.c.size, sa.func.count()).group_by(first.c.stored, first.c.size)
    return counted.order_by(sa.func.count().desc(), first.c.stored, first.c.size)


def _is_stored(value: Value, stored: str) -> Value:
    if stored == "blob":
        # Cheaper than typeof: nothing but a blob sorts behind the empty blob.
        return sa.collate(value, "BINARY") >= sa.literal_column("x''")
    return sa.func.typeof(value) == sa.literal_column(f"'{stored}'")


def _guid_cells(cells: npt.NDArray[np.uint8], stored: str, byte_order: ByteOrder) -> GuidCells:
    size = cells.shape[1]
    if stored == "blob" and size == 16:
        return GuidCells(guids.swap_sql_server(cells) if byte_order == "sqlserver" else cells)
    if size == 36:
        column, good = guids.from_texts(cells)
        if good.all():
            return GuidCells(column)
    packed = cells.tobytes()
    values: list[Any] = [packed[at : at + size] for at in range(0, len(packed), size)]
    return database_cells.guid_cells(
        values if stored == "blob" else [text.decode("utf-8", "replace") for text in values]
    )
