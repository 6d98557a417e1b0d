"""Which rows of resources that became one are outdated as a whole, by what was loaded last: as a merge says, too."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mergeguard.core.repair.reference_sets import Pair, outdated, without_beaten, without_outdated
from mergeguard.core.repair.references import Held, Rewrite
from mergeguard.resources.hashes import DataClass, Load, StoredHashes
from mergeguard.resources.places import DeclaredTable
from mergeguard.storage.profile import Profile

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows


class Sets:
    """The resources that became one, and when the data of each were loaded; read once and only where a table asks.

    Args:
        rows: of the snapshot.
        profile: says which columns are ``sets``.
        currents: what each merged-away guid that some reference holds is now.
    """

    def __init__(self, rows: DatabaseRows, profile: Profile, currents: Mapping[uuid.UUID, uuid.UUID]) -> None:
        self._rows = rows
        self.currents = currents
        hashes = profile.hashes
        tells = hashes is not None and (hashes.time is not None or hashes.order is not None)
        declared = any(reference.sets == "newest" for reference in profile.references)
        self._hashes = StoredHashes(rows, profile, ()) if tells and declared else None
        self._summaries = hashes.table if hashes is not None else ""

    def apart(
        self, table: DeclaredTable, held: Sequence[Held], currents: Mapping[uuid.UUID, uuid.UUID]
    ) -> tuple[Sequence[Held], Sequence[Rewrite]]:
        """Part the rows of a table from those that go because newer ones were loaded.

        Of the summaries themselves, too, the newest stays: by it the next load is judged.

        Raises:
            MergeRefused: the times or numbers of the summaries have no order.
        """
        if self._hashes is None:
            return held, ()
        name = table.place.table
        if self._rows.snapshot.same_name(name, self._summaries):
            return without_beaten(table.place, held, currents)
        if table.sets is None:
            return held, ()
        return without_outdated(table.place, table.sets, held, self._outdated(name))

    def _outdated(self, table: str) -> Mapping[uuid.UUID, Pair]:
        assert self._hashes is not None  # noqa: S101 - for the type checker: whoever calls has asked
        data_class = self._hashes.class_of_table(table)
        loads = {guid: load.age for (known, guid), load in self._loads.items() if known == data_class}
        return outdated(self.currents, loads)

    @cached_property
    def _loads(self) -> Mapping[tuple[DataClass, uuid.UUID], Load]:
        assert self._hashes is not None  # noqa: S101 - as above
        return self._hashes.loads(sorted({*self.currents, *self.currents.values()}))
