"""How the columns of a SQL Server table travel: what can be packed is, the rest goes beside it as raw bytes.

ODBC costs a call a cell, so the guids, numbers and times of a row are put into one ``varbinary`` value by the server
and taken apart by NumPy. Texts travel as their UTF-16 bytes: neither the code page of the client nor a half surrogate
in a vendor's table can then break a read.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from mergeguard.storage.source import Column, Kind, Selection

Quote: TypeAlias = Callable[[str], str]
Stored: TypeAlias = sa.types.TypeEngine[Any]

GUID_CHARACTERS = 100
"""How much of a text is read where a guid should stand: more than any spelling has, and than a report shows."""
TEXT_CHARACTERS = 4000


class Form(enum.Enum):
    """What a value is while it travels."""

    UNIQUEIDENTIFIER = "16 bytes in SQL Server's order"
    BINARY16 = "16 bytes in the profile's order"
    INTEGER = "8 bytes, big-endian"
    TIME = "microseconds since 1970 as 8 bytes, big-endian"
    TEXT = "UTF-16-LE beside the packed value"
    BYTES = "bytes beside the packed value"


WIDTHS: Mapping[Form, int] = {Form.UNIQUEIDENTIFIER: 16, Form.BINARY16: 16, Form.INTEGER: 8, Form.TIME: 8}
"""The forms that can be packed, and their bytes."""


@dataclass(frozen=True, slots=True)
class Travelling:
    """A column of a selection on its way."""

    kind: Kind
    form: Form
    sql: str
    """The value; NULL where the column is."""
    group: str = ""
    """What GROUP BY needs; empty for a count."""

    @property
    def width(self) -> int:
        """Bytes in the packed value, 0 where it travels beside it."""
        return WIDTHS.get(self.form, 0)


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT, its parameters (ASCII texts) and how to take its rows apart."""

    sql: str
    parameters: tuple[str, ...]
    columns: tuple[Travelling, ...]

    @property
    def packed(self) -> tuple[Travelling, ...]:
        """The columns in the packed value, in their order."""
        return tuple(column for column in self.columns if column.width)

    @property
    def beside(self) -> tuple[Travelling, ...]:
        """The columns beside it, in their order."""
        return tuple(column for column in self.columns if not column.width)

    @property
    def flag_bytes(self) -> int:
        """Bytes of NULL flags that the packed value begins with."""
        return (len(self.packed) + 7) // 8

    @property
    def width(self) -> int:
        """Bytes of the packed value, 0 where nothing is packed."""
        return self.flag_bytes + sum(column.width for column in self.packed)


def select(selection: Selection, table: str, types: Mapping[str, Stored], quote: Quote) -> Statement:
    """Write the SELECT of a selection.

    Args:
        selection: columns of a table; no query.
        table: quoted and qualified.
        types: the type of each column that the selection names.
        quote: quotes an identifier.
    """
    columns = [travelling(column, types[column.name], quote(column.name)) for column in selection.columns]
    groups = [column.group for column in columns]
    if selection.counted:
        columns.append(Travelling(Kind.INTEGER, Form.INTEGER, "COUNT_BIG(*)"))
    statement = Statement("", tuple(_parameter(types[name], value) for name, value in selection.where), tuple(columns))
    listed = [packing(statement)] * bool(statement.packed) + [column.sql for column in statement.beside]
    sql = f"SELECT {', '.join(listed)} FROM {table}"  # noqa: S608 - quoted identifiers; every value is a parameter
    if selection.where:
        sql += " WHERE " + " AND ".join(_equals(types[name], quote(name)) for name, _ in selection.where)
    if selection.counted:
        sql += " GROUP BY " + ", ".join(groups)
    return Statement(sql, statement.parameters, statement.columns)


def packing(statement: Statement) -> str:
    """Return the expression that packs a row: a flag a column, set for NULL, then the values, zeros for NULL."""
    flags = []
    for start in range(0, len(statement.packed), 8):
        bits = [
            f"CASE WHEN {column.group or column.sql} IS NULL THEN {1 << bit} ELSE 0 END"
            for bit, column in enumerate(statement.packed[start : start + 8])
        ]
        flags.append(f"CAST(CAST({' + '.join(bits)} AS tinyint) AS binary(1))")
    values = [f"ISNULL(CAST({column.sql} AS binary({column.width})), 0x00)" for column in statement.packed]
    # All rows are of this width; as ``binary`` it would be a fixed-size column, on which arrow-odbc is strict.
    return f"CAST({' + '.join([*flags, *values])} AS varbinary({statement.width}))"


def travelling(column: Column, stored: Stored, name: str) -> Travelling:
    """Say how a column travels, by its kind and its declared type; ``name`` is quoted."""
    if column.kind is Kind.GUID and isinstance(stored, mssql.UNIQUEIDENTIFIER | sa.Uuid):
        return Travelling(column.kind, Form.UNIQUEIDENTIFIER, name, name)
    if column.kind is Kind.GUID and isinstance(stored, sa.BINARY) and stored.length == 16:
        return Travelling(column.kind, Form.BINARY16, name, name)
    if column.kind in {Kind.INTEGER, Kind.ROW_ID} and _is_whole(stored):
        return Travelling(column.kind, Form.INTEGER, f"CAST({name} AS bigint)", name)
    if column.kind is Kind.TIME and isinstance(stored, sa.DateTime | sa.Date):
        return Travelling(column.kind, Form.TIME, microseconds(stored, name), name)
    if isinstance(stored, sa.types._Binary | mssql.TIMESTAMP):  # noqa: SLF001 - the one base of binary types
        return _beside(column.kind, Form.BYTES, f"CAST({name} AS varbinary({GUID_CHARACTERS}))", stored, name)
    characters = GUID_CHARACTERS if column.kind in {Kind.GUID, Kind.INTEGER, Kind.TIME} else TEXT_CHARACTERS
    text = f"CAST({_as_text(stored, name, characters)} AS varbinary({2 * characters}))"
    return _beside(column.kind, Form.TEXT, text, stored, name)


def microseconds(stored: Stored, name: str) -> str:
    """Return the microseconds since 1970 in UTC of a date or time; works on every version since 2008.

    Only 2016 has DATEDIFF_BIG, and DATEDIFF counts no more than 68 years of seconds: so days, seconds of the day and
    microseconds are counted apart.
    """
    if isinstance(stored, mssql.DATETIMEOFFSET):
        name = f"CAST(SWITCHOFFSET({name}, '+00:00') AS datetime2(7))"
    elif not isinstance(stored, mssql.DATETIME2):
        # A datetime counts thirds of a hundredth; drivers show it rounded to milliseconds.
        name = f"CAST({name} AS datetime2(3))"
    return (
        f"((CAST(DATEDIFF(day, '19700101', {name}) AS bigint) * 86400 + DATEDIFF(second, CAST({name} AS date), {name}))"
        f" * 1000000 + DATEPART(microsecond, {name}))"
    )


def _beside(kind: Kind, form: Form, sql: str, stored: Stored, name: str) -> Travelling:
    # The old large types cannot be grouped, what was cut out of them can.
    large = isinstance(stored, mssql.NTEXT | mssql.TEXT | mssql.IMAGE)
    return Travelling(kind, form, sql, sql if large else name)


def _is_whole(stored: Stored) -> bool:
    """Say whether every value of a type is a whole number that fits 64 bits."""
    if isinstance(stored, sa.Integer | sa.Boolean):
        return True
    fits = isinstance(stored, sa.Numeric) and stored.precision is not None and stored.precision <= 18
    return fits and not isinstance(stored, sa.Float) and not stored.scale  # type: ignore[attr-defined]


def _as_text(stored: Stored, name: str, characters: int) -> str:
    """Return a value as nvarchar, a guid in lower case and a time as ISO 8601 writes it."""
    if isinstance(stored, mssql.UNIQUEIDENTIFIER | sa.Uuid):
        return f"CAST(LOWER(CAST({name} AS char(36))) AS nvarchar(36))"
    if isinstance(stored, sa.DateTime | sa.Date | sa.Time):
        return f"CONVERT(nvarchar(50), {name}, 126)"
    return f"CAST({name} AS nvarchar({characters}))"


def _equals(stored: Stored, name: str) -> str:
    """Return the condition that a column, as text, equals a parameter that ``_parameter`` made."""
    asked = f"CAST(CONVERT(varbinary(max), ?, 2) AS nvarchar({TEXT_CHARACTERS}))"
    return f"{_as_text(stored, name, TEXT_CHARACTERS)} = {asked}"


def _parameter(stored: Stored, value: str) -> str:
    """Write a text as hex of its UTF-16 bytes: the one spelling that every driver passes on unharmed."""
    if isinstance(stored, mssql.UNIQUEIDENTIFIER | sa.Uuid):
        value = value.lower()
    return value.encode("utf-16-le", "surrogatepass").hex()
