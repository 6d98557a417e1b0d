"""What some merges look like, asked for by guids: what leads to them, what they lead to, which of them are live."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.closure import Liveness
from mergeguard.core.facts import Declared, Facts
from mergeguard.core.guids import Bools, Guids
from mergeguard.core.index import GuidIndex
from mergeguard.core.lookup import lookup_of
from mergeguard.core.table import MergeTable
from mergeguard.integrity.merges_now import Pair


class Surroundings:
    """The merges as they were read at one moment.

    Those of when a run began tell each of its steps which guids to ask for and are never believed: what is written
    rests on rows that were read in its transaction.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        live = facts.declared.live
        self._live = None if live is None else GuidIndex(live)
        self._leads: dict[uuid.UUID, int] = {}
        self._alive: dict[uuid.UUID, bool] = {}
        self._learnt: dict[uuid.UUID, bool] = {}
        """Whether guids were live in the last transaction that asked for them."""
        self._walked: tuple[tuple[uuid.UUID, ...], frozenset[uuid.UUID]] = ((), frozenset())
        """What was last asked for ahead, and the answer: a step asks twice."""

    def know(self, asked: Iterable[uuid.UUID]) -> None:
        """Look many guids up at once, which costs little more than to look up one."""
        new = [guid for guid in dict.fromkeys(asked) if guid not in self._leads]
        if not new:
            return
        column = guids.from_uuids(new)
        self._leads.update(zip(new, self.facts.join.olds.find(column).tolist(), strict=True))
        if self._live is not None:
            self._alive.update(zip(new, (self._live.find(column) >= 0).tolist(), strict=True))

    def live(self, asked: Collection[uuid.UUID]) -> set[uuid.UUID] | None:
        """Return which of some guids were live; ``None`` where no liveness is declared."""
        if self._live is None:
            return None
        self.know(asked)
        return {guid for guid in asked if self._alive[guid]}

    def learn(self, asked: Collection[uuid.UUID], live: Collection[uuid.UUID]) -> None:
        """Take note that of some guids, asked for in a transaction, exactly those in ``live`` are live there."""
        self.know(asked)
        found = {guid: guid in live for guid in asked}
        self._alive.update(found)
        self._learnt.update(found)

    @property
    def has_learnt(self) -> bool:
        """Whether somebody's being live was asked for in a transaction, and holds for no other one."""
        return bool(self._learnt)

    def facts_of(self, pairs: Sequence[Pair]) -> Facts:
        """Return a few rows as facts, with the liveness of that moment, or as it was learnt since."""
        live = self.live({guid for pair in pairs for guid in pair})
        declared = Declared() if live is None else Declared(live=guids.from_uuids(sorted(live)))
        return Facts(MergeTable.from_pairs(pairs), declared)

    def facts_of_columns(self, old: Guids, new: Guids) -> Facts:
        """Return many rows as facts, with the liveness of that moment, or as it was learnt since."""
        facts = Facts(MergeTable(old, new), Declared(live=self.facts.declared.live))
        if self._live is not None:
            # The index of all live guids stands already.
            facts.__dict__["liveness"] = Liveness(self._are_live(self._live, old), self._are_live(self._live, new))
        return facts

    def _are_live(self, live: GuidIndex, column: Guids) -> Bools:
        found: Bools = live.find(column) >= 0
        if self._learnt:
            places = GuidIndex(guids.from_uuids(list(self._learnt))).find(column)
            known = places >= 0
            found[known] = np.fromiter(self._learnt.values(), np.bool_)[places[known]]
        return found

    def behind(self, members: Collection[uuid.UUID], *, changing: bool = False) -> list[uuid.UUID]:
        """Return the members and all olds that lead to them; nothing leads through a live guid.

        Where rows of the members and whether they are live are ``changing``, what led only to them before counts, too.
        """
        seen = dict.fromkeys(self._known(members))
        own = frozenset(seen) if changing else frozenset()
        if changing:
            ends = [guid for guid in members if self._leads[guid] < 0]
            seen.update(dict.fromkeys(lead for guid in ends for lead in self._ending_at(guid)))
        todo = list(seen)
        liveness = self.facts.liveness
        while todo:
            lead = todo.pop()
            if liveness is not None and liveness.old[lead] and lead not in own:
                continue
            new = [source for source in self.facts.behind.sources(lead) if source not in seen]
            seen.update(dict.fromkeys(new))
            todo += new
        strangers = [guid for guid in members if self._leads[guid] < 0]
        olds = [self.facts.old(lead) for lead in seen]
        if self._live is None:  # where liveness is declared, it is looked up with the lead
            self._leads.update(zip(olds, seen, strict=True))
        return [*strangers, *olds]

    def _ending_at(self, guid: uuid.UUID) -> list[int]:
        """Return the leads of the olds that have a row to a guid that is no old."""
        halves, rows = self._ends
        half = guids.keys(guids.from_uuids([guid]))[0, 0]
        some = rows[np.searchsorted(halves, half, "left") : np.searchsorted(halves, half, "right")].tolist()
        return [int(self.facts.join.lead[row]) for row in some if self.facts.new(row) == guid]

    @cached_property
    def _ends(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.intp]]:
        """The first halves of all news that are no olds, sorted, and their rows."""
        rows = np.flatnonzero(self.facts.join.succ < 0)
        halves = guids.keys(np.ascontiguousarray(self.facts.table.new[rows]))[:, 0]
        ranked = np.argsort(halves, kind="stable")
        return halves[ranked], rows[ranked]

    def ahead(self, olds: Collection[uuid.UUID]) -> frozenset[uuid.UUID]:
        """Return all guids on all walks from some olds, the ends of the walks included."""
        asked = tuple(olds)
        if asked != self._walked[0]:
            self._walked = asked, self._walk(asked)
        return self._walked[1]

    def _walk(self, olds: Collection[uuid.UUID]) -> frozenset[uuid.UUID]:
        seen = dict.fromkeys(self._known(olds))
        todo = list(seen)
        found: set[uuid.UUID] = set()
        while todo:
            for row in self.facts.ways(todo.pop()):
                found.add(self.facts.new(row))
                after = int(self.facts.join.succ[row])
                if after >= 0 and after not in seen:
                    seen[after] = None
                    todo.append(after)
        return frozenset(found - {guids.TOMBSTONE})

    def on_circle(self, olds: Collection[uuid.UUID]) -> list[uuid.UUID]:
        """Return which of some olds lie on a cycle."""
        return [self.facts.old(lead) for lead in self._known(olds) if lead in self.facts.on_ring]

    def current(self, old: uuid.UUID) -> uuid.UUID | None:
        """Return what an old is now; ``None`` where nobody can say: a cycle, a split, deleted, or no old at all."""
        found = lookup_of(self.facts, np.array(self._known([old]), np.int32))
        return next((current for _, current, _, _ in found), None)

    def rows_of(self, olds: Collection[uuid.UUID]) -> list[Pair]:
        """Return all rows of some olds."""
        rows = (row for lead in self._known(olds) for row in (lead, *self._copies.get(lead, ())))
        return [(self.facts.old(row), self.facts.new(row)) for row in rows]

    def packed_rows_of(self, olds: Collection[uuid.UUID]) -> frozenset[bytes]:
        """Return all rows of some olds, packed by ``guids.pairs``."""
        rows = np.array([row for lead in self._known(olds) for row in (lead, *self._copies.get(lead, ()))], np.intp)
        return guids.pairs(self.facts.table.old[rows], self.facts.table.new[rows])

    @cached_property
    def _copies(self) -> dict[int, list[int]]:
        """The further rows of olds that have several, by the row that stands for the old."""
        found: dict[int, list[int]] = {}
        repeated = self.facts.join.repeated
        for row, lead in zip(repeated.tolist(), self.facts.join.lead[repeated].tolist(), strict=True):
            found.setdefault(lead, []).append(row)
        return found

    def _known(self, olds: Collection[uuid.UUID]) -> list[int]:
        """Return the leads of those of some guids that are olds."""
        self.know(olds)
        return [lead for lead in map(self._leads.__getitem__, olds) if lead >= 0]
