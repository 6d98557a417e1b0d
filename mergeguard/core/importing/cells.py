"""What the cells of a message hold, as values of their columns."""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from mergeguard.core import guids
from mergeguard.core.importing.catalogue import CellType, DataColumn
from mergeguard.core.nse.attributes import plain

Value: TypeAlias = str | int | float | bool | dt.datetime | uuid.UUID | None
Cells: TypeAlias = tuple[Value, ...]
"""A row: one value a column of its class."""
Reader: TypeAlias = Callable[[str | None], Value]

MOST_INTEGER: Final = 2**63
MOST_TEXT: Final = 2**30
"""Characters of a text whose column says no length; SQL Server's ``nvarchar(max)`` holds as many."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_BOOLEANS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_SHOWN: Final = 40
_GUID: Final = 38
"""Characters of a guid in the usual spelling, braces included."""


class Misfit(ValueError):
    """A cell does not fit its column; the text says why, without the place."""


def value_of(column: DataColumn, text: str | None) -> Value:
    """Return what a cell holds.

    An empty text is a value of a text column and no value of any other; the empty guid is no resource.

    Raises:
        Misfit: it does not fit the column.
    """
    return reader_of(column)(text)


@lru_cache(maxsize=4096)
def reader_of(column: DataColumn) -> Reader:
    """Return what reads the cells of a column; see ``value_of``."""
    if column.type is CellType.TEXT:
        return _text_reader(column)
    read, nothing = _READERS[column.type], guids.EMPTY if column.resource else None

    def reader(text: str | None) -> Value:
        try:
            value = read(text) if text else None
        except (ValueError, OverflowError):
            raise _misfit(column, text or "") from None
        if value is None or value == nothing:
            _require_nullable(column)
            return None
        return value

    return reader


def partial_reader(read: Reader) -> Reader:
    """Return what reads the cells that are given, and leaves the others alone."""
    return lambda text: None if text is None else read(text)


def _text_reader(column: DataColumn) -> Reader:
    length = MOST_TEXT if column.length is None else column.length

    def reader(text: str | None) -> Value:
        if text is None:
            _require_nullable(column)
            return None
        if len(text) * 2 > length and _length(text) > length:  # a character counts for two at most
            raise Misfit(f"column {column.name} takes {length} characters, and these are {_length(text)}")
        return text

    return reader


def _require_nullable(column: DataColumn) -> None:
    if not column.nullable:
        raise Misfit(f"column {column.name} needs a value and has none")


def _misfit(column: DataColumn, text: str) -> Misfit:
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return Misfit(f"column {column.name} takes {_TAKES[column.type]}, and this is {shown!r}")


def _length(text: str) -> int:
    """Count characters as SQL Server does: those beyond the first 65,536 are two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text.strip()):
        raise ValueError
    value = int(text)
    if not -MOST_INTEGER <= value < MOST_INTEGER:
        raise ValueError
    return value


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value + 0.0  # there is one zero only


def _boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise ValueError
    return value


def _time(text: str) -> dt.datetime:
    value = dt.datetime.fromisoformat(text.strip())
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def _guid(text: str) -> uuid.UUID:
    value = plain(text) if len(text) <= _GUID else None
    if value is None:
        value = guids.parse(text)
    if value is None:
        raise ValueError
    return value


_READERS: Final[Mapping[CellType, Callable[[str], Value]]] = {
    CellType.INTEGER: _integer,
    CellType.NUMBER: _number,
    CellType.BOOLEAN: _boolean,
    CellType.TIME: _time,
    CellType.GUID: _guid,
}
_TAKES: Final[Mapping[CellType, str]] = {
    CellType.INTEGER: "a whole number of 64 bits",
    CellType.NUMBER: "a number",
    CellType.BOOLEAN: "true or false",
    CellType.TIME: "a time such as 2012-01-18T10:00:00Z",
    CellType.GUID: "a guid",
}
