"""What all steps of one run share: the journal, the merges as they were when it began, and the lookup."""

from __future__ import annotations

import uuid
from collections import ChainMap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from mergeguard.core.repair.plan import Image
from mergeguard.integrity.alive import Alive
from mergeguard.integrity.merges_now import MergesNow
from mergeguard.integrity.reading import read_facts
from mergeguard.integrity.surroundings import Surroundings
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.lookup.part import LookupPartWriter
from mergeguard.storage.source import Progress

if TYPE_CHECKING:
    from mergeguard.storage.database.snapshot import DatabaseSnapshot
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows


@dataclass(frozen=True, slots=True)
class Workshop:
    """The tools of one run."""

    source: DatabaseSource
    profile: Profile
    run_id: str
    journal: Journal
    around: Surroundings
    alive: Alive
    lookup: LookupPartWriter | None
    """``None`` where no lookup is stored."""
    rare: set[uuid.UUID] = field(default_factory=set)
    """Olds of rows that no index finds, as far as they are known."""
    texts: dict[uuid.UUID, str] = field(default_factory=dict)
    """Text ids of rows that may stand in the table no more; the others are labels of the merges as they were read."""
    opened: list[MergesNow] = field(default_factory=list)
    """The merges of the last transaction, one at most: a step asks for them twice."""

    def merges(self, rows: DatabaseRows, known: Iterable[Image] = ()) -> MergesNow:
        """Return the merges of a transaction; ``known`` are rows that stand in it, or that are to be put back."""
        if not self.opened or self.opened[0].rows is not rows:
            self.opened[:] = [self._merges(rows, known)]
        return self.opened[0]

    def _merges(self, rows: DatabaseRows, known: Iterable[Image]) -> MergesNow:
        texts = self.profile.merge.ids == "text"
        labels = cast("dict[uuid.UUID, str]", self.around.facts.table.labels)
        rows.labels = ChainMap(self.texts, labels) if texts else labels
        merges = MergesNow(rows, self.profile, self.rare)
        for image in known:
            if texts:
                self.texts.update(merges.texts(image))
            if merges.is_rare(image) and (old := merges.read(image).old) is not None:
                self.rare.add(old)
        return merges


def open_workshop(source: DatabaseSource, profile: Profile, run_id: str, progress: Progress) -> Workshop:
    """Read the merges once and see whether a lookup is stored; nothing is written.

    Raises:
        UnknownSchema: a table or column that the profile names is not there; the lookup's table is no lookup.
        CannotCheck: the target could not be read.
    """
    with source.snapshot() as snapshot:
        around = Surroundings(read_facts(snapshot, profile, progress, needs=()).facts)
        lookup = _lookup(source, snapshot, profile)
    return Workshop(source, profile, run_id, Journal(source, profile), around, Alive(profile, around), lookup)


def _lookup(source: DatabaseSource, snapshot: DatabaseSnapshot, profile: Profile) -> LookupPartWriter | None:
    """Return what writes parts of the lookup; ``None`` where there is none.

    Raises:
        UnknownSchema: a table of that name is somebody else's; better to know before the first change.
    """
    if not snapshot.has_table(profile.lookup.table):
        return None
    whole = source.writer_class(source, snapshot.connection, profile.lookup)
    return LookupPartWriter(source, profile.lookup, spelled_otherwise=whole.is_spelled_otherwise())
