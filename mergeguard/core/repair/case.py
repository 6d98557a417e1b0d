"""A unit made ready to be decided: its ways, its candidates, and what may be asked of them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mergeguard.core.guids import EMPTY, TOMBSTONE
from mergeguard.core.repair.component import DamagedRow
from mergeguard.core.repair.damage import Unit
from mergeguard.core.repair.evidence import Known, Policy, ReadFrom
from mergeguard.core.repair.order import RowOrder


@dataclass(frozen=True, slots=True)
class Way:
    """All rows that say the same: from ``old`` to ``new``."""

    old: uuid.UUID
    new: uuid.UUID
    head: uuid.UUID
    """Where it gets to: a member of the unit, or the guid it ends at outside."""
    rows: tuple[DamagedRow, ...]


@dataclass(frozen=True)
class Case:
    """What is to be decided, with everything that may speak for one candidate or another."""

    unit: Unit
    ways: tuple[Way, ...]
    """In the order of old and new; self-merges are none."""
    candidates: tuple[Known, ...]
    """In text order."""
    order: RowOrder
    read_from: ReadFrom
    policy: Policy

    @cached_property
    def members(self) -> frozenset[uuid.UUID]:
        """The olds."""
        return frozenset(self.unit.members)

    @cached_property
    def guids(self) -> tuple[uuid.UUID, ...]:
        """The candidates' guids, in text order."""
        return tuple(known.guid for known in self.candidates)

    @cached_property
    def onward(self) -> dict[uuid.UUID, list[Way]]:
        """The ways of each old that has one."""
        found: dict[uuid.UUID, list[Way]] = defaultdict(list)
        for way in self.ways:
            found[way.old].append(way)
        return dict(found)

    @cached_property
    def live(self) -> tuple[uuid.UUID, ...]:
        """The candidates that are known to be live."""
        return tuple(known.guid for known in self.candidates if known.live)

    @cached_property
    def owners(self) -> tuple[uuid.UUID, ...]:
        """The candidates that are live and still hold keys or references."""
        return tuple(known.guid for known in self.candidates if known.live and holds(known))

    @cached_property
    def left(self) -> tuple[uuid.UUID, ...]:
        """The candidates that what is known of them does not rule out.

        A dead one is out where another is live; one that holds nothing is out where a member is live and does; the
        empty guid is out wherever there is another.
        """
        chosen = tuple(guid for guid in self.guids if guid != EMPTY) or self.guids
        live = set(self.live)
        chosen = tuple(guid for guid in chosen if guid in live) or chosen
        return self.owners if self.members.intersection(self.owners) else chosen


def holds(known: Known) -> bool:
    """Say whether a guid is known to hold keys or references."""
    return bool(known.keys) or known.mass > 0


def make_case(
    unit: Unit,
    heads: Callable[[uuid.UUID], uuid.UUID],
    known: Callable[[uuid.UUID], Known],
    read_from: ReadFrom,
    policy: Policy,
) -> Case:
    """Build the case of a unit; ``heads`` says where a new gets to."""
    ways = _ways(unit.rows, heads)
    outside = {way.head for way in ways} - set(unit.members)
    itself = unit.ring or unit.live or not outside
    candidates = sorted(outside | (set(unit.members) if itself else set()))
    order = RowOrder.declared(read_from, policy)
    return Case(unit, ways, tuple(_known(guid, known) for guid in candidates), order, read_from, policy)


def _known(guid: uuid.UUID, known: Callable[[uuid.UUID], Known]) -> Known:
    return Known(guid, live=False, name="deleted") if guid == TOMBSTONE else known(guid)


def _ways(rows: Iterable[DamagedRow], heads: Callable[[uuid.UUID], uuid.UUID]) -> tuple[Way, ...]:
    groups: dict[tuple[uuid.UUID, uuid.UUID], list[DamagedRow]] = defaultdict(list)
    for row in rows:
        if row.ref.old != row.ref.new:
            groups[row.ref.old, row.ref.new].append(row)
    return tuple(Way(old, new, heads(new), tuple(same)) for (old, new), same in groups.items())


def by_new(ways: Sequence[Way]) -> dict[uuid.UUID, tuple[DamagedRow, ...]]:
    """Group the rows of one old's ways by their new."""
    return {way.new: way.rows for way in ways}
