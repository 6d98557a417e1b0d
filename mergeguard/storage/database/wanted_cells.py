"""The texts that a table has of a few guids, found in one reading of two of its columns: any target offers that."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import cast

from mergeguard.storage.cells.ids import id_reader
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Column, Kind, Progress, Selection, Snapshot, silent


def texts_of(
    snapshot: Snapshot,
    profile: Profile,
    place: tuple[str, str, str],
    wanted: Collection[uuid.UUID],
    progress: Progress = silent,
) -> dict[uuid.UUID, str]:
    """Return what a column says of some guids; of several rows of a guid the first that says anything.

    Args:
        snapshot: of the target.
        profile: says how ids are read.
        place: a table, its column of guids, and the column of texts.
        wanted: the guids; without any nothing is read.
        progress: is told of the reading.

    Raises:
        UnknownSchema: there is no such table or column.
    """
    table, guid, text = place
    found: dict[uuid.UUID, str] = {}
    if not wanted:
        return found
    ids = id_reader(profile.merge)
    known = {each.bytes: each for each in wanted}
    selection = Selection((Column(guid, ids.kind), Column(text, Kind.TEXT)), table)
    for raw, texts in snapshot.read(selection, progress, f"reading {table}"):
        cells = ids.cells(raw)
        packed = cells.column.tobytes()
        for at, said in enumerate(cast("Sequence[str | None]", texts)):
            owner = known.get(packed[at * 16 : at * 16 + 16])
            if owner is not None and said is not None and at not in cells.bad:
                found.setdefault(owner, said)
    return found
