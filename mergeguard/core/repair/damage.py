"""What is damaged: the smallest parts of the table that are repaired or refused as one, and where each of them leads.

NumPy finds the damaged olds in the whole table; from there on only their rows are looked at, as Python objects.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mergeguard.core import guids
from mergeguard.core.facts import Facts
from mergeguard.core.findings import fingerprint
from mergeguard.core.guids import TOMBSTONE, Bools
from mergeguard.core.index import Places
from mergeguard.core.repair.component import DamagedRow
from mergeguard.core.walk import arrive, mark

SHORT = 64
"""Merges that are walked one by one before all walks of the table are worked out at once."""


@dataclass(frozen=True)
class Unit:
    """A cycle with all rows of its olds, or one damaged old that lies on no cycle."""

    members: tuple[uuid.UUID, ...]
    """Its olds, in text order."""
    rows: tuple[DamagedRow, ...]
    """All rows of its olds; in the order of old, new, row id."""
    ring: bool
    """Whether it is a cycle of two guids or more."""
    live: frozenset[uuid.UUID] = frozenset()
    """The members that are declared live although a row leads on from them."""

    @cached_property
    def id(self) -> str:
        """16 hex digits that are the same whatever the row order: a hash of the olds."""
        return fingerprint("component", *self.members)


@dataclass(frozen=True, slots=True)
class Damage:
    """All damaged parts of a table."""

    units: tuple[Unit, ...] = ()
    """What a unit leads to comes before it."""
    ends: Mapping[uuid.UUID, uuid.UUID] | None = None
    """For the new of each damaged row the first damaged old that it is or leads to, else its current guid."""
    guids: tuple[uuid.UUID, ...] = ()
    """The members and the currents that they may lead to, in text order: whom evidence is wanted of."""


def find_damage(facts: Facts) -> Damage:
    """Find the cycles, self-merges, olds with several rows, and live guids with a row; a chain is no damage."""
    damaged = _damaged(facts)
    rows = np.flatnonzero(damaged[facts.join.lead])
    if not len(rows):
        return Damage(ends={})
    made = _rows(facts, rows)
    ends = _ends(facts, rows, damaged, made)
    units = _downstream_first(_units(facts, made), ends)
    members = {member for unit in units for member in unit.members}
    wanted = (members | set(ends.values())) - {TOMBSTONE}
    return Damage(units, ends, tuple(sorted(wanted)))


def _damaged(facts: Facts) -> Bools:
    """Flag the leads of all damaged olds."""
    join = facts.join
    flags = mark(len(facts.table), join.lead[join.repeated])
    flags[join.lead[np.flatnonzero(facts.self_merges)]] = True
    for ring in facts.raw.rings:
        flags[ring.members] = True
    if facts.liveness is not None:
        flags[join.lead[np.flatnonzero(facts.liveness.old & ~facts.self_merges)]] = True
    return flags


def _rows(facts: Facts, rows: Places) -> list[DamagedRow]:
    """Make the damaged rows, in the order of old, new, row id."""
    made = [DamagedRow(row, facts.row(row)) for row in rows.tolist()]
    made.sort(key=_place)
    return made


def _place(row: DamagedRow) -> tuple[object, ...]:
    ref = row.ref
    known = (1, 0, ref.row_id) if isinstance(ref.row_id, str) else (0, ref.row_id, "")
    return ref.old.bytes, ref.new.bytes, known, str(ref.time), row.number


def _ends(facts: Facts, rows: Places, damaged: Bools, made: list[DamagedRow]) -> dict[uuid.UUID, uuid.UUID]:
    """Follow the damaged rows' news to the next damaged old, or to the end."""
    succ = facts.join.succ
    last = np.where(succ[rows] >= 0, succ[rows], rows).astype(np.intp)
    outside = succ[rows] >= 0
    for _ in range(SHORT):
        on = outside & ~damaged[last] & (succ[last] >= 0)
        if not on.any():
            break
        last[on] = succ[last[on]]
    else:
        step = succ.copy()
        step[damaged] = -1
        step[facts.join.repeated] = -1
        last[outside] = arrive(step).end[last[outside]]
    inside = outside & damaged[last]
    column = np.where(inside[:, None], facts.table.old[last], facts.table.new[last])
    found = dict(zip(rows.tolist(), guids.to_uuids(np.ascontiguousarray(column)), strict=True))
    return {row.ref.new: found[row.number] for row in made}


def _units(facts: Facts, made: list[DamagedRow]) -> list[Unit]:
    """Group the damaged rows by unit, in the order of the smallest member."""
    on_ring = {lead: ring for ring, found in enumerate(facts.raw.rings) for lead in found.members.tolist()}
    live = None if facts.liveness is None else facts.liveness.old
    groups: dict[tuple[bool, int], list[DamagedRow]] = defaultdict(list)
    for row in made:
        lead = int(facts.join.lead[row.number])
        groups[(True, on_ring[lead]) if lead in on_ring else (False, lead)].append(row)
    return [
        Unit(
            tuple(sorted({row.ref.old for row in rows})),
            tuple(rows),
            ring,
            frozenset(row.ref.old for row in rows if live is not None and live[row.number] and not _selfish(row)),
        )
        for (ring, _), rows in groups.items()
    ]


def _selfish(row: DamagedRow) -> bool:
    return row.ref.old == row.ref.new


def _downstream_first(units: list[Unit], ends: Mapping[uuid.UUID, uuid.UUID]) -> tuple[Unit, ...]:
    """Sort the units so that each comes after those it leads to; where that leaves a choice, by their smallest guid."""
    home = {member: unit for unit in units for member in unit.members}
    ordered: list[Unit] = []
    seen: set[uuid.UUID] = set()
    for root in units:
        if root.members[0] in seen:
            continue
        seen.add(root.members[0])
        path = [(root, _below(root, home, ends))]
        while path:
            unit, below = path[-1]
            after = next((each for each in below if each.members[0] not in seen), None)
            if after is None:
                ordered.append(unit)
                path.pop()
            else:
                seen.add(after.members[0])
                path.append((after, _below(after, home, ends)))
    return tuple(ordered)


def _below(unit: Unit, home: Mapping[uuid.UUID, Unit], ends: Mapping[uuid.UUID, uuid.UUID]) -> Iterator[Unit]:
    """Yield the units that a unit leads to, in the order of their smallest guid."""
    found = {home[end].members[0]: home[end] for end in (ends[row.ref.new] for row in unit.rows) if end in home}
    return iter([found[first] for first in sorted(found)])
