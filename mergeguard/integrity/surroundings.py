"""What some merges look like, asked for by guids: what leads to them, what they lead to, which of them are live."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from mergeguard.core import guids
from mergeguard.core.facts import Declared, Facts
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

    def live(self, asked: Sequence[uuid.UUID]) -> set[uuid.UUID] | None:
        """Return which of some guids were live when the run began; ``None`` where no liveness is declared."""
        if self._live is None:
            return None
        found = self._live.find(guids.from_uuids(asked)) >= 0
        return {guid for guid, alive in zip(asked, found.tolist(), strict=True) if alive}

    def facts_of(self, pairs: Sequence[Pair]) -> Facts:
        """Return a few rows as facts, with the liveness of when the run began."""
        if self._live is None:
            return Facts(MergeTable.from_pairs(pairs))
        named = sorted({guid for pair in pairs for guid in pair})
        live = sorted(self.live(named) or ()) if named else []
        return Facts(MergeTable.from_pairs(pairs), Declared(live=guids.from_uuids(live)))

    def behind(self, members: Iterable[uuid.UUID]) -> list[uuid.UUID]:
        """Return the members and all olds that lead to them; nothing leads through a live guid."""
        todo, strangers = self._leads(members)
        seen = set(todo)
        stops = self.facts.closure.live
        while todo:
            lead = todo.pop()
            if stops is not None and stops[lead]:
                continue
            new = [source for source in self.facts.behind.sources(lead) if source not in seen]
            seen.update(new)
            todo += new
        return [*strangers, *(self.facts.old(lead) for lead in sorted(seen))]

    def ahead(self, olds: Iterable[uuid.UUID]) -> set[uuid.UUID]:
        """Return all guids on all walks from some olds, the ends of the walks included."""
        todo, _ = self._leads(olds)
        seen = set(todo)
        found: set[uuid.UUID] = set()
        while todo:
            for row in self.facts.ways(todo.pop()):
                found.add(self.facts.new(row))
                after = int(self.facts.join.succ[row])
                if after >= 0 and after not in seen:
                    seen.add(after)
                    todo.append(after)
        return found - {guids.TOMBSTONE}

    def _leads(self, wanted: Iterable[uuid.UUID]) -> tuple[list[int], list[uuid.UUID]]:
        asked = list(wanted)
        if not asked:
            return [], []
        places = self.facts.join.olds.find(guids.from_uuids(asked)).tolist()
        strangers = [guid for guid, place in zip(asked, places, strict=True) if place < 0]
        return [place for place in places if place >= 0], strangers

    def on_circle(self, olds: Iterable[uuid.UUID]) -> list[uuid.UUID]:
        """Return which of some olds lie on a cycle."""
        leads, _ = self._leads(olds)
        return [self.facts.old(lead) for lead in leads if lead in self.facts.on_ring]

    def current(self, old: uuid.UUID) -> uuid.UUID | None:
        """Return what an old is now; ``None`` where nobody can say: a cycle, a split, deleted, or no old at all."""
        leads, _ = self._leads([old])
        found = lookup_of(self.facts, np.array(leads, np.int32))
        return next((current for _, current, _, _ in found), None)

    def rows_of(self, olds: Iterable[uuid.UUID]) -> list[Pair]:
        """Return all rows of some olds."""
        leads, _ = self._leads(olds)
        rows = (row for lead in leads for row in (lead, *self._copies.get(lead, ())))
        return [(self.facts.old(row), self.facts.new(row)) for row in rows]

    @cached_property
    def _copies(self) -> dict[int, list[int]]:
        """The further rows of olds that have several, by the row that stands for the old."""
        found: dict[int, list[int]] = {}
        repeated = self.facts.join.repeated
        for row, lead in zip(repeated.tolist(), self.facts.join.lead[repeated].tolist(), strict=True):
            found.setdefault(lead, []).append(row)
        return found
