"""What the cells of a message hold, as values of their columns."""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from mergeguard.core import guids
from mergeguard.core.importing.catalogue import CellType, DataColumn

Value: TypeAlias = str | int | float | bool | dt.datetime | uuid.UUID | None

MOST_INTEGER: Final = 2**63
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_BOOLEANS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_SHOWN: Final = 40


class Misfit(ValueError):
    """A cell does not fit its column; the text says why, without the place."""


def value_of(column: DataColumn, text: str | None) -> Value:
    """Return what a cell holds.

    An empty text is a value of a text column and no value of any other; the empty guid is no resource.

    Raises:
        Misfit: it does not fit the column.
    """
    value = None if text is None or (not text and column.type is not CellType.TEXT) else _read(column, text)
    if column.resource and value == guids.EMPTY:
        value = None
    if value is None and not column.nullable:
        raise Misfit(f"column {column.name} needs a value and has none")
    return value


def canonical(value: Value) -> str:
    """Return a text that is the same for equal values, however they were spelled."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _read(column: DataColumn, text: str) -> Value:
    try:
        value = _READERS[column.type](text)
    except (ValueError, OverflowError):
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        raise Misfit(f"column {column.name} takes {_TAKES[column.type]}, and this is {shown!r}") from None
    if column.length is not None and isinstance(value, str) and _length(value) > column.length:
        raise Misfit(f"column {column.name} takes {column.length} characters, and these are {_length(value)}")
    return value


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
    value = guids.parse(text)
    if value is None:
        raise ValueError
    return value


_READERS: Final[Mapping[CellType, Callable[[str], Value]]] = {
    CellType.TEXT: str,
    CellType.INTEGER: _integer,
    CellType.NUMBER: _number,
    CellType.BOOLEAN: _boolean,
    CellType.TIME: _time,
    CellType.GUID: _guid,
}
_TAKES: Final[Mapping[CellType, str]] = {
    CellType.TEXT: "a text",
    CellType.INTEGER: "a whole number of 64 bits",
    CellType.NUMBER: "a number",
    CellType.BOOLEAN: "true or false",
    CellType.TIME: "a time such as 2012-01-18T10:00:00Z",
    CellType.GUID: "a guid",
}
