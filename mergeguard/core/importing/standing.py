"""What a database says about the guids and keys of a message."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from mergeguard.core.closure import Status


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a guid leads now, and what is known of the resource that it leads to."""

    guid: uuid.UUID
    current: uuid.UUID | None
    """``None`` in a cycle, a split, or where it was deleted."""
    status: Status
    live: bool = False
    """Whether ``current`` is a resource; a guid that nobody knows is not."""
    type: uuid.UUID | None = None
    retired: bool = False
    managed: bool = False
    created: dt.datetime | None = None
    """When the resource was, aware."""
    blacklisted: bool = False
    """Whether ``guid`` itself, as an agent may still use it, is on the black list."""


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """A resource that has a key of the message."""

    name: str
    value: str
    resource: uuid.UUID
    """As the table of keys has it: it may have been merged away by somebody who moved no keys."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was loaded last for one resource in one data class."""

    data_class: uuid.UUID
    resource: uuid.UUID
    hash: str | None
    event: int | None
    """The registration id of the event that gave it; ``None`` where it was loaded by something else."""


@dataclass(frozen=True, slots=True)
class Linked:
    """An association that stands."""

    type: uuid.UUID
    parent: uuid.UUID
    child: uuid.UUID
    event: int | None
