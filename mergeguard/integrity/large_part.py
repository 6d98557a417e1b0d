"""A large part of the merges in a transaction: what ``Part`` says, worked out in columns.

An old that tens of thousands lead to is rare, but while its component is repaired everybody else waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np

from mergeguard.core import guids
from mergeguard.core.facts import Facts
from mergeguard.core.guids import TOMBSTONE, Bools, Guids
from mergeguard.core.index import GuidIndex
from mergeguard.core.lookup import Lookup, lookup_of
from mergeguard.core.repair.check import check_rows
from mergeguard.core.repair.plan import Image
from mergeguard.integrity.merges_now import MergesNow
from mergeguard.integrity.surroundings import Surroundings

LARGE = 2_000
"""Guids that are asked for at once beyond which arrays cost less than objects."""


class LargePart:
    """All rows on all walks from some olds: their images, and their guids as columns."""

    def __init__(self, images: Sequence[Image], old: Guids, new: Guids, merges: Bools, around: Surroundings) -> None:
        self._images = images
        self._old = old
        self._new = new
        self._merges = merges
        """Which rows are merges: the new of another one is no guid."""
        self._around = around

    @classmethod
    def read(
        cls, merges: MergesNow, around: Surroundings, olds: Collection[uuid.UUID], expected: Collection[uuid.UUID]
    ) -> LargePart:
        """Read the rows of ``olds`` and of all that they lead to; ``expected`` are asked for along with them."""
        images: list[Image] = []
        columns: list[tuple[Guids, Guids, Bools]] = []
        frontier = merges.first_of(olds, expected)
        asked = [guids.from_uuids([TOMBSTONE])]
        while frontier:
            asked.append(guids.from_uuids(frontier))
            found = merges.of(frontier)
            old, is_old, new, is_new = merges.columns(found)
            images += (found[at] for at in np.flatnonzero(is_old).tolist())
            columns.append((old[is_old], new[is_old], is_new[is_old]))
            frontier = _strangers(new[is_old & is_new], np.concatenate(asked))
        old, new, whole = (np.concatenate(each) for each in zip(*columns, strict=True))
        return cls(images, old, new, whole, around)

    @property
    def all_guids(self) -> frozenset[uuid.UUID]:
        """All guids of the merges."""
        return frozenset((*guids.to_uuids(self._old[self._merges]), *guids.to_uuids(self._new[self._merges])))

    @property
    def packed_rows(self) -> frozenset[bytes]:
        """All rows that are merges, packed by ``guids.pairs``."""
        return guids.pairs(self._old[self._merges], self._new[self._merges])

    def images(self, olds: Collection[uuid.UUID]) -> list[Image]:
        """Return the images of all rows of some olds, which must be among those that were read."""
        return [self._images[at] for at in self._rows_of(olds)]

    def problems(self, members: Collection[uuid.UUID], survivor: uuid.UUID | None) -> tuple[str, ...]:
        """Say what is wrong with the rows of a repaired component's members; nothing, if all is right."""
        rows = [at for at in self._rows_of(members) if self._merges[at]]
        pairs = [(guids.to_uuid(self._old, at), guids.to_uuid(self._new, at)) for at in rows]
        problems = check_rows(pairs, members, survivor=survivor)
        if problems:
            return problems
        return tuple(f"{old} leads in a circle" for old in Surroundings(self._facts).on_circle(members))

    def answers(self, olds: Collection[uuid.UUID]) -> Lookup:
        """Return the rows of the lookup of those of some guids that are olds now."""
        facts = self._facts
        leads = facts.leads
        wanted = GuidIndex(guids.from_uuids(list(olds)))
        inside = wanted.find(np.ascontiguousarray(facts.table.old[leads])) >= 0
        return lookup_of(facts, leads[inside])

    def current(self, guid: uuid.UUID) -> uuid.UUID | None:
        """Return what a guid is now; ``None`` where nobody can say."""
        found = self._lookup.get(guid)
        return guid if found is None else found[0]

    def _rows_of(self, olds: Collection[uuid.UUID]) -> list[int]:
        found: list[int] = np.flatnonzero(GuidIndex(guids.from_uuids(list(olds))).find(self._old) >= 0).tolist()
        return found

    @cached_property
    def _lookup(self) -> Lookup:
        return lookup_of(self._facts)

    @cached_property
    def _facts(self) -> Facts:
        return self._around.facts_of_columns(self._old[self._merges], self._new[self._merges])


def _strangers(news: Guids, asked: Guids) -> list[uuid.UUID]:
    """Return the news that were not asked for yet, each once."""
    unknown = np.ascontiguousarray(news[GuidIndex(asked).find(news) < 0])
    return list(dict.fromkeys(guids.to_uuids(unknown)))
