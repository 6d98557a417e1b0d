"""What a notification-server event holds, as values; every part knows the line it came from."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a resource. A name may stand there several times, each with a value of its own."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that a message describes."""

    ref: str
    """The label by which the rest of the message means it; empty where it has none."""
    guid: uuid.UUID | None
    """As sent, never mapped; ``None`` where the sender knows none and the keys have to say who it is."""
    type: uuid.UUID | None
    name: str
    keys: tuple[Key, ...] = ()
    line: int = field(default=0, compare=False)


class Target(NamedTuple):
    """Which resource a part of a message means: by the label of one in the message, or by a guid; one is set."""

    ref: str | None = None
    guid: uuid.UUID | None = None


class Association(NamedTuple):
    """A typed link from a parent to a child. A tuple, as there may be many thousands of them in an event."""

    type: uuid.UUID
    parent: Target
    child: Target
    line: int = 0

    def __eq__(self, other: object) -> bool:
        """Say whether they say the same; where they stood is not compared, here as elsewhere."""
        return isinstance(other, Association) and self[:3] == other[:3]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:3])


class Row(NamedTuple):
    """One row of a data class: cells by position, ``None`` where the message gives none. A tuple as well."""

    cells: tuple[str | None, ...]
    line: int = 0

    def __eq__(self, other: object) -> bool:
        """Say whether the cells are the same."""
        return isinstance(other, Row) and self.cells == other.cells

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.cells)


@dataclass(frozen=True, slots=True)
class ClassData:
    """The rows that a message gives for one resource in one data class."""

    data_class: uuid.UUID
    resource: Target
    rows: tuple[Row, ...]
    partial: bool = False
    """Whether they change the columns that they give, in rows that are there, rather than take their place."""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Message:
    """What one notification-server event says: ``read_event`` gives it, ``write_event`` takes it."""

    recipient: str
    """The text of its ``to``."""
    resources: tuple[Resource, ...] = ()
    associations: tuple[Association, ...] = ()
    data: tuple[ClassData, ...] = ()
    """Inventory and event classes alike: the catalogue knows which is which."""
    line: int = field(default=1, compare=False)
