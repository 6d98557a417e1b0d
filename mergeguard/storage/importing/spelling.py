"""How each dialect spells the tables of the reference schema, and how values travel to it and back."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from mergeguard.core.importing.catalogue import CellType
from mergeguard.storage.journal.tables import CLOCKS

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Spelling:
    """One dialect.

    Attributes:
        kind: its name.
        types: how it spells each type of a cell.
    """

    kind: str
    types: Mapping[CellType, str]

    @property
    def clock(self) -> str:
        """The database's time, as an expression."""
        return CLOCKS[self.kind]

    def table(self, name: str) -> str:
        """Return a table's name in quotes; those of the schema stand in ``dbo`` on SQL Server."""
        return f"[dbo].{quoted_brackets(name)}" if self.kind == "mssql" else self.name(name)

    def name(self, name: str) -> str:
        """Return a name in quotes."""
        if self.kind == "mssql":
            return quoted_brackets(name)
        return '"' + name.replace('"', '""') + '"'

    def type(self, kind: CellType, length: int | None = None) -> str:
        """Return the type of a column."""
        if kind is CellType.TEXT and self.kind == "mssql" and length is not None:
            return f"nvarchar({length})" if length <= _WIDEST else "nvarchar(max)"
        return self.types[kind]

    def mark(self, kind: CellType, length: int | None = None) -> str:
        """Return what stands for a value in a statement of ours: a ``?``, with its type where nothing else tells it."""
        return "?" if self.kind == "sqlite" else f"CAST(? AS {self.type(kind, length)})"

    def guid(self, guid: uuid.UUID) -> object:
        """Return a guid as the driver is to send it."""
        return guid if self.kind == "postgresql" else str(guid)

    def value(self, value: Any) -> Any:  # noqa: ANN401 - a cell of any type
        """Return a cell as the driver is to send it. A time without a zone is UTC."""
        if isinstance(value, uuid.UUID):
            return self.guid(value)
        if isinstance(value, dt.datetime):
            return self.time(value)
        if isinstance(value, Decimal):
            return float(value)
        return int(value) if isinstance(value, bool) and self.kind == "sqlite" else value

    def time(self, time: dt.datetime) -> object:
        """Return a time as the driver is to send it."""
        aware = (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
        if self.kind == "postgresql":
            return aware
        naive = aware.replace(tzinfo=None)
        return naive if self.kind == "mssql" else naive.isoformat(timespec="milliseconds") + "Z"


_WIDEST = 4000
SQLITE = Spelling(
    "sqlite",
    {
        CellType.TEXT: "TEXT",
        CellType.INTEGER: "INTEGER",
        CellType.NUMBER: "REAL",
        CellType.BOOLEAN: "INTEGER",
        CellType.TIME: "TEXT",
        CellType.GUID: "TEXT",
    },
)
POSTGRESQL = Spelling(
    "postgresql",
    {
        CellType.TEXT: "text",
        CellType.INTEGER: "bigint",
        CellType.NUMBER: "double precision",
        CellType.BOOLEAN: "boolean",
        CellType.TIME: "timestamptz",
        CellType.GUID: "uuid",
    },
)
MSSQL = Spelling(
    "mssql",
    {
        CellType.TEXT: "nvarchar(max)",
        CellType.INTEGER: "bigint",
        CellType.NUMBER: "float",
        CellType.BOOLEAN: "bit",
        CellType.TIME: "datetime2(3)",
        CellType.GUID: "uniqueidentifier",
    },
)


def quoted_brackets(name: str) -> str:
    """Return a name as SQL Server quotes it."""
    return "[" + name.replace("]", "]]") + "]"


def read_guid(value: object) -> uuid.UUID:
    """Return a guid that the driver gave."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value).strip())


def maybe_guid(value: object) -> uuid.UUID | None:
    """Return a guid that the driver gave, ``None`` for NULL."""
    return None if value is None else read_guid(value)


def maybe_time(value: object) -> dt.datetime | None:
    """Return a time that the driver gave, aware; ``None`` for NULL and for a text that is no time."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, dt.datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield so many items at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
