"""What the rules may look at: the rows, where they lead, and whatever else was declared and read."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.closure import Closure, Liveness, close, leads
from mergeguard.core.columns import ReferenceCounts, StoredLookup, TypeTable
from mergeguard.core.connected import Components
from mergeguard.core.findings import MAX_WITNESS, RowRef
from mergeguard.core.guids import Bools, Guids
from mergeguard.core.index import GuidIndex, Rows
from mergeguard.core.join import Join, join
from mergeguard.core.table import MergeTable


@dataclass(frozen=True, slots=True)
class Declared:
    """What was read beside the merges; ``None`` means that the profile does not declare it or it was not there."""

    live: Guids | None = None
    types: TypeTable | None = None
    references: Sequence[ReferenceCounts] | None = None
    stored: StoredLookup | None = None


@dataclass(frozen=True)
class Facts:
    """Everything a rule may use. Costly parts are worked out when first asked for, and once."""

    table: MergeTable
    declared: Declared = Declared()

    @cached_property
    def join(self) -> Join:
        """Row numbers for guids."""
        return join(self.table)

    @cached_property
    def leads(self) -> Rows:
        """The rows that stand for the distinct olds."""
        return leads(self.join)

    @cached_property
    def liveness(self) -> Liveness | None:
        """For each row whether its old and its new are live."""
        live = self.declared.live
        if live is None:
            return None
        known = GuidIndex(live)
        return Liveness(known.find(self.table.old) >= 0, known.find(self.table.new) >= 0)

    @cached_property
    def reference_places(self) -> tuple[Rows, ...]:
        """For each declared reference column the lead of each guid in it, -1 for a guid that is no old."""
        return tuple(self.join.olds.find(counted.guids) for counted in self.declared.references or ())

    @cached_property
    def weights(self) -> npt.NDArray[np.int64] | None:
        """How many rows of the declared reference columns hold each lead's old."""
        if self.declared.references is None:
            return None
        total = np.zeros(len(self.table), np.int64)
        for counted, places in zip(self.declared.references, self.reference_places, strict=True):
            known = places >= 0
            np.add.at(total, places[known], counted.counts[known])
        return total

    @cached_property
    def raw(self) -> Closure:
        """Where the rows lead, liveness ignored: what findings about the rows themselves stand on."""
        return close(self.table, self.join, weights=self.weights)

    @cached_property
    def closure(self) -> Closure:
        """Where every old leads by the semantics of the lookup."""
        return self.raw if self.liveness is None else close(self.table, self.join, self.liveness, weights=self.weights)

    @cached_property
    def self_merges(self) -> Bools:
        """Which rows say that a guid is itself."""
        old, new = guids.keys(self.table.old), guids.keys(self.table.new)
        same: Bools = (old[:, 0] == new[:, 0]) & (old[:, 1] == new[:, 1])
        return same

    @cached_property
    def on_ring(self) -> frozenset[int]:
        """The leads of all olds that lie on a cycle, self-merges included."""
        alone = self.join.lead[np.flatnonzero(self.self_merges)]
        return frozenset(alone.tolist()).union(*(ring.members.tolist() for ring in self.raw.rings))

    @cached_property
    def components(self) -> Components:
        """The rows of olds that hang together, for pictures that show only a part of them."""
        return Components(self.join)

    @cached_property
    def behind(self) -> Backwards:
        """The rows that lead to each old, for pictures and walks against the direction of the merges."""
        return Backwards(self.join)

    def old(self, row: int) -> uuid.UUID:
        """Return a row's old."""
        return guids.to_uuid(self.table.old, row)

    def new(self, row: int) -> uuid.UUID:
        """Return a row's new."""
        return guids.to_uuid(self.table.new, row)

    def row(self, row: int) -> RowRef:
        """Return a row as a finding names it."""
        return RowRef(self.table.row_id(row), self.old(row), self.new(row), self.table.time(row))

    def rows_of(self, lead: int) -> list[int]:
        """Return all rows of one old, ascending."""
        same = self.join.repeated[self.join.lead[self.join.repeated] == lead]
        return [lead, *same.tolist()]

    def by_guid(self, rows: Rows) -> Rows:
        """Sort rows by the text of their olds: an order that does not depend on the order of the table."""
        if len(rows) < 2:
            return rows
        return rows[guids.order(np.ascontiguousarray(self.table.old[rows]))]

    def distinct(self, rows: Rows) -> Rows:
        """Keep one row, the first, of those that say the same merge; in the order of the texts of old and new."""
        pairs = np.concatenate((self.table.old[rows], self.table.new[rows]), axis=1)
        _, first = np.unique(pairs.view("V32").reshape(-1), return_index=True)
        return rows[first]

    def copies(self, row: int) -> tuple[RowRef, ...]:
        """Return the rows that say the same merge as a row, itself among them, as a finding names them."""
        new = self.table.new[row].tobytes()
        same = [each for each in self.rows_of(int(self.join.lead[row])) if self.table.new[each].tobytes() == new]
        return tuple(self.row(each) for each in same[:MAX_WITNESS])

    def references_at(self, chosen: Rows) -> int | None:
        """Return how many reference rows hold the olds of the chosen leads."""
        return None if self.weights is None else int(self.weights[chosen].sum())

    def ways(self, lead: int) -> Iterator[int]:
        """Yield one row for each distinct new of an old, in the order of the news' texts."""
        branch = self.raw.branches.get(lead)
        if branch is None:
            yield lead
            return
        rows = np.array([way.row for way in branch.exits], np.int32)
        yield from rows[guids.order(np.ascontiguousarray(self.table.new[rows]))].tolist()


class Backwards:
    """Which leads have a row to a given lead, found by binary search in one sorted column."""

    def __init__(self, joined: Join) -> None:
        rows = np.flatnonzero(joined.succ >= 0).astype(np.int32)
        ranked = np.argsort(joined.succ[rows], kind="stable")
        self._targets = joined.succ[rows][ranked]
        self._sources = joined.lead[rows[ranked]]

    def sources(self, lead: int) -> list[int]:
        """Return the distinct leads whose old has a row to this lead's old, ascending."""
        first = bisect_left(self._targets.data, lead)
        last = bisect_left(self._targets.data, lead + 1, first)
        # A set, because ``numpy.unique`` costs half a millisecond however few there are.
        return sorted(set(self._sources[first:last].tolist()))
