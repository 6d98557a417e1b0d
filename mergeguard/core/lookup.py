"""The lookup as columns: every old guid once, with what it is now."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.facts import Facts
from mergeguard.core.guids import Bools, Guids
from mergeguard.core.index import GuidIndex, Rows


@dataclass(frozen=True)
class Lookup:
    """Every old guid once, as columns of one length: old, current, depth and status.

    ``currents`` is zero and ``depths`` -1 where ``has_current`` is false; ``statuses`` indexes ``STATUS_TEXTS``.
    """

    olds: Guids
    currents: Guids
    has_current: Bools
    depths: npt.NDArray[np.int64]
    statuses: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.olds)

    @cached_property
    def _index(self) -> GuidIndex:
        return GuidIndex(self.olds)

    def get(self, old: uuid.UUID) -> tuple[uuid.UUID | None, int | None, str] | None:
        """Return (current, depth, status) of an old, or ``None`` for a guid that no row merges away."""
        place = int(self._index.find(guids.from_uuids([old]))[0])
        if place < 0:
            return None
        has = bool(self.has_current[place])
        current = guids.to_uuid(self.currents, place) if has else None
        return current, int(self.depths[place]) if has else None, STATUS_TEXTS[self.statuses[place]]

    def __iter__(self) -> Iterator[tuple[uuid.UUID, uuid.UUID | None, int | None, str]]:
        """Yield (old, current, depth, status) in the order of the table; for small lookups and exports."""
        columns = (self.has_current.tolist(), self.depths.tolist(), self.statuses.tolist())
        for at, (has, depth, status) in enumerate(zip(*columns, strict=True)):
            current = guids.to_uuid(self.currents, at) if has else None
            yield guids.to_uuid(self.olds, at), current, depth if has else None, STATUS_TEXTS[status]


def lookup_of(facts: Facts, rows: Rows | None = None) -> Lookup:
    """Return the lookup of all olds, or of those that the given leads stand for."""
    chosen = facts.leads if rows is None else rows
    currents, has = facts.closure.current(facts.table, chosen)
    whole = len(chosen) == len(facts.table)
    return Lookup(
        facts.table.old if whole else np.ascontiguousarray(facts.table.old[chosen]),
        currents,
        has,
        facts.closure.depth[chosen].astype(np.int64),
        facts.closure.status[chosen],
    )
