"""What guids are now: one, walked to its end in the tables, or millions, looked up in the stored lookup."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS, Status
from mergeguard.core.columns import StoredLookup
from mergeguard.core.facts import Declared, Facts
from mergeguard.core.guids import Bools, Guids
from mergeguard.core.index import GuidIndex
from mergeguard.core.lookup import lookup_of
from mergeguard.resources.opened import require_database
from mergeguard.resources.walk import Walker
from mergeguard.storage import assemble
from mergeguard.storage.merging.store import MergingStore
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Progress, Snapshot, Source, silent


@dataclass(frozen=True, slots=True)
class Answer:
    """What one guid is now."""

    guid: uuid.UUID
    current: uuid.UUID | None
    """``None`` for a circle, a split and what was deleted."""
    depth: int | None
    status: str
    """``ok``, ``cycle``, ``split``, ``dangling`` or ``deleted``."""


@dataclass(frozen=True)
class Currents:
    """What many guids are now, as columns in the order in which they were asked for.

    ``currents`` has the shape ``(n, 16)`` and is zero where ``has_current`` is false; ``depths`` is ``int64``, -1
    where there is no current; ``statuses`` indexes ``status_names``.
    """

    guids: Guids
    currents: Guids
    has_current: Bools
    depths: npt.NDArray[np.int64]
    statuses: npt.NDArray[np.uint8]
    status_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.guids)

    def __iter__(self) -> Iterator[Answer]:
        """Yield the answers one by one; for few."""
        columns = (self.has_current.tolist(), self.depths.tolist(), self.statuses.tolist())
        for at, (has, depth, status) in enumerate(zip(*columns, strict=True)):
            now = guids.to_uuid(self.currents, at) if has else None
            yield Answer(guids.to_uuid(self.guids, at), now, depth if has else None, self.status_names[status])


def current(source: Source, profile: Profile, guid: uuid.UUID) -> Answer:
    """Walk a guid to its end, in the tables themselves; a guid that no row merges away is its own current.

    Raises:
        CannotCheck: the target could not be read.
        Unsupported: the target is a file, or its ids are no guids.
    """
    database = require_database(source, profile)
    with database.snapshot() as snapshot:
        rows = database.rows(snapshot)
        store = MergingStore(rows, profile)
        end = Walker(rows, profile, lambda each: store.class_of(rows, each)).read((guid,)).end(guid)
    return Answer(guid, end.current, end.depth, end.status.text)


def currents(source: Source, profile: Profile, asked: Guids, *, progress: Progress = silent) -> Currents:
    """Look many guids up in the stored lookup, or work it out where none is stored.

    A guid that no row merges away is its own current with the status ``ok``, whether it is live or not: nobody asks.

    Raises:
        CannotCheck: the target could not be read.
    """
    with source.snapshot() as snapshot:
        return currents_in(snapshot, profile, asked, progress=progress)


def currents_in(snapshot: Snapshot, profile: Profile, asked: Guids, *, progress: Progress = silent) -> Currents:
    """Look many guids up in a view that is open; see ``currents``."""
    stored = assemble.stored_lookup(snapshot, profile, progress)
    if stored is None:
        live = assemble.live_guids(snapshot, profile, progress)
        stored = _worked_out(Facts(assemble.merge_table(snapshot, profile, progress), Declared(live=live)))
    return look_up(stored, asked)


def look_up(stored: StoredLookup, asked: Guids) -> Currents:
    """Find the answers of guids in the columns of a lookup."""
    asked = np.ascontiguousarray(asked)
    names = tuple(dict.fromkeys((Status.OK.text, *stored.status_names)))
    if not len(stored.olds):
        rows, ones = len(asked), np.ones(len(asked), np.bool_)
        return Currents(asked, asked.copy(), ones, np.zeros(rows, np.int64), np.zeros(rows, np.uint8), names)
    places = GuidIndex(stored.olds).find(asked)
    alone = np.flatnonzero(places < 0)
    places[alone] = 0  # any row will do: what stands there is overwritten
    numbers = np.array([names.index(name) for name in stored.status_names], np.uint8)
    found = _wide(stored.currents).take(places).view(np.uint8).reshape(-1, 16)
    has, depths = stored.has_current.take(places), stored.depths.take(places)
    statuses = numbers.take(stored.statuses).take(places)
    found[alone], has[alone], depths[alone], statuses[alone] = asked[alone], True, 0, 0
    return Currents(asked, found, has, depths, statuses, names)


def _worked_out(facts: Facts) -> StoredLookup:
    made = lookup_of(facts)
    return StoredLookup(made.olds, made.currents, made.has_current, made.depths, made.statuses, STATUS_TEXTS)


def _wide(column: Guids) -> npt.NDArray[np.void]:
    """View a column as values of 16 bytes: picking rows of a matrix takes four times as long."""
    return np.ascontiguousarray(column).view("V16").reshape(-1)
