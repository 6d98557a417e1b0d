"""Which data of two resources are newer where their table does not say it: by the summary of what was loaded last."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mergeguard.core.merging.survivors import Outdated
from mergeguard.core.repair.references import Held
from mergeguard.resources.hashes import DataClass, Load, StoredHashes
from mergeguard.resources.places import DeclaredTable
from mergeguard.storage.profile import Profile

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows


class Loaded:
    """What was loaded last for two resources, read once and only where somebody asks."""

    def __init__(self, rows: DatabaseRows, profile: Profile, roots: tuple[uuid.UUID, uuid.UUID]) -> None:
        hashes = profile.hashes
        tells = hashes is not None and (hashes.time is not None or hashes.order is not None)
        self._hashes = StoredHashes(rows, profile, ()) if tells else None
        self._roots = roots
        self._loads: Mapping[tuple[DataClass, uuid.UUID], Load] | None = None

    def load(self, table: str, guid: uuid.UUID | None) -> Load | None:
        """Return what was loaded last for a resource into a table; ``None`` where nothing says so."""
        data_class = None if self._hashes is None else self._hashes.class_of_table(table)
        if self._hashes is None or data_class is None or guid is None:
            return None
        if self._loads is None:
            self._loads = self._hashes.loads(self._roots)
        return self._loads.get((data_class, guid))


def dated(loaded: Loaded, table: DeclaredTable, held: Sequence[Held]) -> list[Held]:
    """Date rows of a table that knows no time by the summary of what was loaded last."""
    single = next(unique.columns[0] for unique in table.place.unique if len(unique.columns) == 1)
    found = []
    for each in held:
        load = loaded.load(table.place.table, each.guids.get(single))
        found.append(each if load is None else replace(each, time=load.time, order=load.order))
    return found


def outdated_in(
    loaded: Loaded, table: DeclaredTable, held: Sequence[Held], old: uuid.UUID, new: uuid.UUID
) -> Outdated | None:
    """Return whose rows go as a whole, of a table whose rows are loaded together; ``None`` where none do.

    What nobody wrote a summary of is older than all of which there is one.
    """
    if table.sets is None:
        return None
    name = table.place.table
    olds, news = loaded.load(name, old), loaded.load(name, new)
    if olds is None and news is None:
        return None
    wins = news is None or (olds is not None and olds.age > news.age)
    loser = new if wins else old
    return Outdated(table.sets, loser) if any(each.guids.get(table.sets) == loser for each in held) else None
