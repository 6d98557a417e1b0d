"""A profile says how one vendor's database spells what MergeGuard needs: tables and columns are never hard-coded.

For a file target a *table* is the path of another file, relative to the target's folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Ids = Literal["guid", "text"]
ByteOrder = Literal["text", "sqlserver"]


@dataclass(frozen=True, slots=True)
class Merge:
    """Where the merges stand. ``old`` and ``new`` are the two columns that every target must have."""

    table: str = "ResourceMerge"
    """May be qualified: ``dbo.ResourceMerge``. For a file target it is not used."""
    old: str = "OldGuid"
    new: str = "NewGuid"
    row_id: str | None = None
    """An integer or text column that names a row. SQLite falls back to ``rowid``."""
    time: str | None = None
    merge_key: str | None = None
    deleted_values: tuple[str, ...] = ()
    """Values of ``new`` that mean *deleted, no successor*; the empty text also means NULL."""
    ids: Ids = "guid"
    byte_order: ByteOrder = "text"
    """Order of the bytes where guids are stored as 16-byte values."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where the derived table old -> current stands: ours, beside the vendor's."""

    table: str = "mergeguard_lookup"
    old: str = "old_guid"
    current: str = "current_guid"
    depth: str = "depth"
    status: str = "status"


@dataclass(frozen=True, slots=True)
class Live:
    """Which guids are live: a column of a table with equality filters, or a query of one column."""

    table: str | None = None
    guid: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    """(column, value) pairs that must all be equal, compared as text."""
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Types:
    """Where the type of a guid stands."""

    table: str
    guid: str
    type: str


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the keys of a guid stand (name.domain, uniqueid and so on)."""

    table: str
    guid: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that holds resource guids: a data class, one end of an association, a foreign key."""

    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class Profile:
    """One database's spelling of everything. ``live``, ``types`` and ``keys`` are ``None`` where not declared."""

    name: str = "flags"
    merge: Merge = field(default_factory=Merge)
    lookup: Lookup = field(default_factory=Lookup)
    live: Live | None = None
    types: Types | None = None
    keys: Keys | None = None
    references: tuple[Reference, ...] = ()
