"""The catalogue of data classes and association types, as values."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field


class CellType(enum.StrEnum):
    """What a column of a data class holds, by the name that stands in the catalogue."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    GUID = "guid"


@dataclass(frozen=True, slots=True)
class DataColumn:
    """One column of a data class, in the order in which messages give cells."""

    name: str
    type: CellType
    length: int | None = None
    """Most characters of a text."""
    nullable: bool = True
    key: bool = False
    """Whether it tells rows of one resource apart, for a partial update."""
    resource: bool = False
    """Whether it holds the guid of a resource: a foreign key, remapped like every other guid."""


@dataclass(frozen=True, slots=True)
class DataClass:
    """One data class: its table and how its rows come and go."""

    guid: uuid.UUID
    name: str
    table: str
    multi_row: bool
    event: bool
    """Whether its rows are appended, each with a time, and purged by age and number."""
    columns: tuple[DataColumn, ...] = ()
    keep_days: int | None = None
    keep_rows: int | None = None


@dataclass(frozen=True, slots=True)
class AssociationType:
    """One type of link; of links beyond ``maximum`` a parent keeps the newest."""

    guid: uuid.UUID
    name: str
    minimum: int = 0
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that a message is checked against."""

    classes: Mapping[uuid.UUID, DataClass] = field(default_factory=dict)
    associations: Mapping[uuid.UUID, AssociationType] = field(default_factory=dict)
    merge_keys: Mapping[uuid.UUID, frozenset[str]] = field(default_factory=dict)
    """By resource type: the names of its enforcement keys, which make two resources one."""
    types: frozenset[uuid.UUID] = frozenset()
    bases: Mapping[uuid.UUID, frozenset[uuid.UUID]] = field(default_factory=dict)
    """By resource type: itself and all types that it is derived from."""
