"""How SQL Server's values become text and values again, type by type, and no bit is lost on the way.

Texts travel as their UTF-16 bytes, as everywhere else: see ``columns``. One that is not well-formed, or that
holds NUL, is written in a cell as ``WILD`` and the hex of those bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mergeguard.errors import Unsupported

WILD = "\0"
_PLAIN = {"bit", "tinyint", "smallint", "int", "bigint", "decimal", "numeric", "uniqueidentifier"}
_STYLES: Mapping[str, int] = {
    "float": 3,  # 17 digits, whatever the number
    "real": 3,
    "money": 2,
    "smallmoney": 2,
    "date": 23,
    "time": 121,
    "datetime2": 121,
    "datetimeoffset": 121,
    "datetime": 126,  # the one style of the old types that no language setting can turn
    "smalldatetime": 126,
}
_BYTES = {"binary", "varbinary", "image", "hierarchyid", "geometry", "geography"}
_NARROW: Mapping[str, str] = {"char": "char", "varchar": "varchar", "text": "varchar"}
_WIDE = {"nchar", "nvarchar", "ntext"}
_MADE = {"timestamp", "rowversion"}
_LARGE = {"text", "ntext", "image", "xml", "geometry", "geography"}
_EQUAL = _PLAIN - {"decimal", "numeric"}
_SHORT = 999
"""Bytes of which the hex is surely no longer than 2,000 characters: pyodbc sends longer texts as ``ntext``."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A column as the catalogue describes it.

    ``size`` is in bytes, -1 for ``max``.
    """

    name: str
    base: str
    """The system type, also of an alias."""
    size: int
    precision: int
    scale: int
    collation: str | None = None
    not_null: bool = False
    identity: bool = False
    computed: bool = False
    """Computed, or a period column of a temporal table."""

    @property
    def generated(self) -> bool:
        """Whether the server makes its value and takes no other."""
        return self.computed or self.base in _MADE

    @property
    def type(self) -> str:
        """The type as T-SQL spells it."""
        if self.base in {"decimal", "numeric"}:
            return f"{self.base}({self.precision},{self.scale})"
        if self.base in {"time", "datetime2", "datetimeoffset"}:
            return f"{self.base}({self.scale})"
        if self.base in {"char", "varchar", "nchar", "nvarchar", "binary", "varbinary"}:
            size = self.size // 2 if self.base in _WIDE else self.size
            return f"{self.base}({'max' if self.size < 0 else size})"
        return f"float({self.precision})" if self.base == "float" else self.base

    @property
    def is_text(self) -> bool:
        """Whether it holds characters."""
        return self.base in _NARROW or self.base in _WIDE

    @property
    def is_binary(self) -> bool:
        """Whether it holds bytes that may be a guid."""
        return self.base in {"binary", "varbinary", "image"}

    @property
    def comparable(self) -> bool:
        """Whether ``=`` can compare it."""
        return self.base not in _LARGE

    @property
    def exact(self) -> bool:
        """Whether what has the same text is the same to an index."""
        return self.base in _EQUAL


def refuse_unknown(table: str, column: Stored) -> None:
    """Refuse a type that no text gives back as it was.

    Raises:
        Unsupported: it is one, e.g. ``sql_variant``, which holds a type of its own in every row.
    """
    if column.generated or column.base in _PLAIN | _STYLES.keys() | _BYTES | _WIDE | _NARROW.keys() | {"xml"}:
        return
    raise Unsupported(
        f"table {table}: column {column.name} is of the type {column.base}, which cannot be kept and restored exactly",
        hint="rows of this table can be read by a scan, and must be repaired by hand",
    )


def as_text(column: Stored, name: str) -> str:
    """Return the ``nvarchar`` that a value is kept as; ``name`` is quoted."""
    if column.base in _BYTES:
        return f"CONVERT(nvarchar(max), CONVERT(varbinary(max), {name}), 1)"
    if column.base in _STYLES:
        return f"CONVERT(nvarchar(64), {name}, {_STYLES[column.base]})"
    return f"CONVERT(nvarchar({'64' if column.base in _PLAIN else 'max'}), {name})"


def selected(column: Stored, name: str) -> str:
    """Return what is fetched of a column: text as bytes where it may be any text."""
    text = as_text(column, name)
    return f"CONVERT(varbinary(max), {text})" if column.is_text or column.base == "xml" else text


def cell(value: object) -> str | None:
    """Turn what was fetched into a cell."""
    if not isinstance(value, bytes | bytearray):
        return None if value is None else str(value)
    raw = bytes(value)
    try:
        text = raw.decode("utf-16-le")
    except UnicodeDecodeError:
        return WILD + raw.hex()
    return WILD + raw.hex() if "\0" in text else text


def placed(column: Stored, value: str | None) -> tuple[str, object]:
    """Return the SQL of a cell's value and its one parameter, which is a value in any case.

    Of a parameter without a value the driver asks the server for the type: one more way to it, and perhaps an error.
    """
    mark: str = "?"
    parameter: object = value
    if value is None:
        mark, parameter = "NULLIF(?, N'')", ""
    elif value.startswith(WILD):
        mark, parameter = "CAST(CAST(? AS varbinary(max)) AS nvarchar(max))", bytes.fromhex(value[1:])
    return _converted(column, mark), parameter


def _converted(column: Stored, mark: str) -> str:
    if column.base in _WIDE:
        return f"CONVERT({'nvarchar(max)' if column.base == 'ntext' else column.type}, {mark})"
    if column.base in _NARROW:
        # To the code page of the column and not of the database.
        target = "varchar(max)" if column.base == "text" else column.type
        collation = f" COLLATE {column.collation}" if column.collation else ""
        return f"CONVERT({target}, {_whole(column, mark)}{collation})"
    if column.base in _BYTES | {"xml"}:
        mark = _whole(column, mark)
    if column.base in {"binary", "varbinary"}:
        return f"CONVERT({column.type}, {mark}, 1)"
    if column.base in _BYTES:
        whole = f"CONVERT(varbinary(max), {mark}, 1)"
        return whole if column.base == "image" else f"CAST({whole} AS {column.base})"
    if column.base == "xml":
        return f"CONVERT(xml, {mark}, 1)"  # 1: blanks between the elements stay
    style = f", {_STYLES[column.base]}" if column.base in _STYLES else ""
    return f"CONVERT({column.type}, {mark}{style})"


def _whole(column: Stored, mark: str) -> str:
    """Return a text as ``nvarchar(max)`` where it may be so long that it comes as ``ntext``, which few things take."""
    is_long = column.base in _LARGE or not 0 <= column.size <= _SHORT
    return f"CONVERT(nvarchar(max), {mark})" if is_long else mark
