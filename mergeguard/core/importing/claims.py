"""What a message claims, as a list of what has to stand for it to change nothing."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Pair: TypeAlias = tuple[uuid.UUID, uuid.UUID]
"""(data class, resource), or (association type, parent)."""
Named: TypeAlias = tuple[str, str]
Ends: TypeAlias = tuple[uuid.UUID, uuid.UUID, uuid.UUID]
"""(association type, parent, child)."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What one message claims."""

    resources: tuple[tuple[uuid.UUID, uuid.UUID | None], ...]
    """Each with its type, where it is told."""
    keys: tuple[tuple[Named, uuid.UUID], ...]
    """Each with the resource whose own it is, and nobody else's."""
    data: tuple[tuple[Pair, str], ...]
    """(data class, resource), and the hash."""
    links: tuple[Ends, ...]
    """Each once."""
    limited: tuple[tuple[Pair, int, frozenset[uuid.UUID]], ...]
    """(type, parent), how many children it may have, and the children."""
    subjects: frozenset[uuid.UUID] = field(init=False)
    """The resources of the data."""
    spelled: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """How a database is told of it, so that a message that comes again and again is spelled once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "subjects", frozenset([resource for (_, resource), _ in self.data]))


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event whose message came before, so that most likely all that it claims stands."""

    event: int
    """Its registration id."""
    claims: Claims
    guids: frozenset[uuid.UUID]
    """Of its message, and its sender."""
