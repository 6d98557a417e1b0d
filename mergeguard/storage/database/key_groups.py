"""Keys that stand beside more than one guid, found in two readings of the table of keys, whatever its size.

The first reading keeps 16 bytes a row, the second one the few rows that are left; so any target can be asked, and no
index is needed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.index import mix
from mergeguard.storage.cells.growing import GrowingColumn
from mergeguard.storage.cells.ids import id_reader
from mergeguard.storage.source import Column, Kind, Progress, Selection, Snapshot, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergeguard.storage.profile import Keys, Profile
    from mergeguard.storage.source import GuidCells

Folded: TypeAlias = tuple[str, str]
Wanted: TypeAlias = Callable[[str], bool]
_Row: TypeAlias = tuple[int, str, str]


@dataclass(slots=True)
class KeyGroup:
    """One key and who has it."""

    name: str
    value: str
    """In the spelling of the least text, whatever the order in which rows are read."""
    guids: dict[uuid.UUID, None] = field(default_factory=dict)


def key_groups(
    snapshot: Snapshot, profile: Profile, keys: Keys, wanted: Wanted | None = None, progress: Progress = silent
) -> Mapping[Folded, KeyGroup]:
    """Return the keys that stand beside two guids or more, compared without case and without blanks around them.

    Args:
        snapshot: of the target.
        profile: says how ids are read.
        keys: where the keys stand.
        wanted: says of a name, as it is compared, whether it counts; ``None`` counts all.
        progress: is told of both readings.

    Raises:
        UnknownSchema: there is no such table or column.
    """
    suspects = _suspects(snapshot, profile, keys, wanted, progress)
    found: dict[Folded, KeyGroup] = {}
    if not suspects:
        return found
    for cells, rows in _read(snapshot, profile, keys, wanted, progress):
        for at, name, value in rows:
            folded = _folded(name, value)
            if hash(folded) in suspects:
                group = found.setdefault(folded, KeyGroup(name.strip(), value.strip()))
                group.name, group.value = min((group.name, group.value), (name.strip(), value.strip()))
                group.guids[guids.to_uuid(cells.column, at)] = None
    return {folded: group for folded, group in found.items() if len(group.guids) > 1}


def _suspects(
    snapshot: Snapshot, profile: Profile, keys: Keys, wanted: Wanted | None, progress: Progress
) -> frozenset[int]:
    """Return the hashes of keys that seem to stand beside several guids."""
    hashes: GrowingColumn[np.int64] = GrowingColumn(np.int64)
    owners: GrowingColumn[np.uint64] = GrowingColumn(np.uint64)
    for cells, rows in _read(snapshot, profile, keys, wanted, progress):
        places = np.array([at for at, *_ in rows], np.intp)
        hashes.append(np.array([hash(_folded(name, value)) for _, name, value in rows], np.int64))
        owners.append(mix(cells.column)[places] if len(places) else np.empty(0, np.uint64))
    return _several(hashes.finish(), owners.finish())


def _several(hashes: npt.NDArray[np.int64], owners: npt.NDArray[np.uint64]) -> frozenset[int]:
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    same = (hashes[1:] == hashes[:-1]) & (owners[1:] != owners[:-1])
    return frozenset(hashes[1:][same].tolist())


def _read(
    snapshot: Snapshot, profile: Profile, keys: Keys, wanted: Wanted | None, progress: Progress
) -> Iterator[tuple[GuidCells, list[_Row]]]:
    ids = id_reader(profile.merge)
    columns = (Column(keys.guid, ids.kind), Column(keys.name, Kind.TEXT), Column(keys.value, Kind.TEXT))
    for raw, names, values in snapshot.read(Selection(columns, keys.table), progress, "reading keys"):
        cells = ids.cells(raw)
        said = zip(cast("Sequence[str | None]", names), cast("Sequence[str | None]", values), strict=True)
        rows = [
            (at, name, value)
            for at, (name, value) in enumerate(said)
            if name is not None and value is not None and value.strip() and at not in cells.bad
        ]
        yield cells, rows if wanted is None else [row for row in rows if wanted(row[1].strip().lower())]


def _folded(name: str, value: str) -> Folded:
    return name.strip().lower(), value.strip().lower()
