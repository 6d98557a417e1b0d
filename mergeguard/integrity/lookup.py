"""The lookup: build it, hold it against the rows, export it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.columns import StoredLookup
from mergeguard.core.drift import compare
from mergeguard.core.facts import Facts
from mergeguard.core.guids import Bools, Guids
from mergeguard.core.index import GuidIndex, Places, Rows
from mergeguard.core.rule import Need
from mergeguard.integrity.reading import read_facts
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import LookupChange, Progress, Source, silent


@dataclass(frozen=True, slots=True)
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

    def get(self, old: uuid.UUID) -> tuple[uuid.UUID | None, int | None, str] | None:
        """Return (current, depth, status) of an old, or ``None`` for a guid that no row merges away."""
        place = int(GuidIndex(self.olds).find(guids.from_uuids([old]))[0])
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


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did to the stored lookup."""

    rows: int
    """Rows that the lookup holds now."""
    written: int
    deleted: int
    created: bool
    """Whether there was no lookup before."""
    statuses: dict[str, int]


@dataclass(frozen=True, slots=True)
class Verified:
    """How the stored lookup compares with the rows."""

    rows: int
    exists: bool
    missing: int
    extra: int
    different: int

    @property
    def drift(self) -> int:
        """How many olds are answered wrongly, not at all, or without need."""
        return self.missing + self.extra + self.different


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


def read_lookup(source: Source, profile: Profile, *, progress: Progress = silent) -> Lookup:
    """Work out the lookup of an open target; nothing is written."""
    with source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, progress, needs=()).facts
    progress("working out the lookup", 0, None)
    return lookup_of(facts)


def build_lookup(source: Source, profile: Profile, *, progress: Progress = silent) -> Built:
    """Write the lookup of an open database in one transaction, on a rebuild only the rows that changed.

    Raises:
        Unsupported: the target is a file.
        CannotCheck: the target could not be read.
        WriteFailed: it could not be written; nothing was changed.
    """
    with source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, progress, needs={Need.LOOKUP}).facts
    progress("working out the lookup", 0, None)
    stored = facts.declared.stored
    change = _change(facts, stored)
    if change.full or len(change.olds) or len(change.deletes):
        source.write_lookup(profile.lookup, change, progress)
    counts = np.bincount(facts.closure.status[facts.leads], minlength=len(STATUS_TEXTS)).tolist()
    return Built(
        rows=len(facts.leads),
        written=len(change.olds),
        deleted=len(change.deletes),
        created=stored is None,
        statuses=dict(zip(STATUS_TEXTS, counts, strict=True)),
    )


def _change(facts: Facts, stored: StoredLookup | None) -> LookupChange:
    """Decide what has to be written so that the stored lookup equals the closure."""
    full = stored is None or not len(stored.olds) or bool(stored.skipped)
    deletes = guids.empty()
    rows: Rows | None = None
    if not full and stored is not None:
        drift = compare(facts, stored)
        rows = np.concatenate((drift.leads, drift.missing))
        deletes, again = _deletes(facts, stored, drift.extra)
        rows = np.union1d(rows, again).astype(np.int32)
    new = lookup_of(facts, rows)
    return LookupChange(
        new.olds, new.currents, new.has_current, new.depths, new.statuses, STATUS_TEXTS, deletes, full=full
    )


def _deletes(facts: Facts, stored: StoredLookup, extra: Places) -> tuple[Guids, Rows]:
    """Return the olds to delete; and the leads to write again, because deleting a second row deletes the first too."""
    column = np.ascontiguousarray(stored.olds[extra])
    leads = facts.join.olds.find(column)
    return column, leads[leads >= 0].astype(np.int32)


def verify_lookup(source: Source, profile: Profile, *, progress: Progress = silent) -> Verified:
    """Hold the stored lookup of an open database against the rows; nothing is written."""
    with source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, progress, needs={Need.LOOKUP}).facts
    stored = facts.declared.stored
    if stored is None:
        return Verified(len(facts.leads), exists=False, missing=len(facts.leads), extra=0, different=0)
    drift = compare(facts, stored)
    return Verified(
        len(facts.leads),
        exists=True,
        missing=len(drift.missing),
        extra=len(drift.extra) + stored.skipped,
        different=len(drift.leads),
    )
