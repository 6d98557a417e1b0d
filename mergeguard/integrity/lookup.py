"""The lookup: build it, hold it against the rows, export it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.columns import StoredLookup
from mergeguard.core.drift import compare
from mergeguard.core.facts import Facts
from mergeguard.core.guids import Guids
from mergeguard.core.index import Places, Rows
from mergeguard.core.lookup import Lookup, lookup_of
from mergeguard.core.rule import Need
from mergeguard.integrity.reading import read_facts
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import LookupChange, Progress, Source, silent


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


def read_lookup(source: Source, profile: Profile, *, progress: Progress = silent) -> Lookup:
    """Work out the lookup of an open target; nothing is written."""
    with source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, progress, needs=()).facts
    progress("working out the lookup", 0, None)
    return lookup_of(facts)


def build_lookup(source: Source, profile: Profile, *, progress: Progress = silent) -> Built:
    """Write the lookup of an open database in one transaction, on a rebuild only the rows that changed.

    The merge lock is held alone from before the read until all is written: no build, repair or merge gets between.

    Raises:
        Unsupported: the target is a file.
        CannotCheck: the target could not be read.
        Locked: a repair, a merge or another build holds the merge lock for longer than the lock timeout.
        WriteFailed: it could not be written; nothing was changed.
    """
    source.recover()
    with source.building(profile.lookup) as building:
        with building.reading() as snapshot:
            facts = read_facts(snapshot, profile, progress, needs={Need.LOOKUP}).facts
        progress("working out the lookup", 0, None)
        stored = facts.declared.stored
        change = _change(facts, stored)
        if change.writes and not change.full and building.is_spelled_otherwise():
            change = _change(facts, None)
        if change.writes:
            building.write(change, progress)
    counts = np.bincount(facts.closure.status[facts.leads], minlength=len(STATUS_TEXTS)).tolist()
    return Built(
        rows=len(facts.leads),
        written=len(change.olds),
        deleted=_deleted(facts, stored, change),
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


def _deleted(facts: Facts, stored: StoredLookup | None, change: LookupChange) -> int:
    """Count the rows that are gone for good: of a lookup that was written whole, those that no old stands for."""
    if not change.full or stored is None:
        return len(change.deletes)
    return len(compare(facts, stored).extra) + stored.skipped


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
