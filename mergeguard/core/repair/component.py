"""A damaged component and what was decided about it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from mergeguard.core.findings import RowRef
from mergeguard.core.repair.evidence import Confidence, Known, Vote


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A row of the merge table whose old belongs to a damaged component."""

    number: int
    """Its place in the ``MergeTable`` that was read; the plan's own names for rows are their images."""
    ref: RowRef


@dataclass(frozen=True, slots=True)
class Component:
    """The smallest part of the table that is repaired, or refused, as one.

    It is either a cycle (a strongly connected component of two guids or more) or one old by itself. What a component
    leads to comes before it, in the order in which ``decide`` returns them.
    """

    id: str
    """16 hex digits, the same each night for the same damage: a hash of its olds."""
    kinds: tuple[str, ...]
    """Names of the rules that find it: cycle, self-merge, redundant, split, shadowed-live. In the rules' order."""
    members: tuple[uuid.UUID, ...]
    """Its olds, in text order."""
    rows: tuple[DamagedRow, ...]
    """All rows of its olds, those that stay too; in the order of old, new, row id."""
    candidates: tuple[Known, ...]
    """The guids between which it was decided, and what is known of them."""
    votes: tuple[Vote, ...] = ()
    survivor: uuid.UUID | None = None
    """The guid that all members lead to, or towards, once it is repaired; ``None`` where refused."""
    confidence: Confidence | None = None
    retire: tuple[int, ...] = ()
    """Numbers of the rows to retire, ascending; never all rows of an old that is not its own survivor."""
    why: str = ""
    """The decision in one sentence."""
    refused: str | None = None
    """Why nothing was decided; then nothing is retired."""
    notes: tuple[str, ...] = ()
    """What remains to be done by others, e.g. ``the merge must be completed: 12 rows still hold ...``."""


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A kind of finding that a repair never touches."""

    rule: str
    """The rule's name."""
    count: int
    why: str
