"""The *Merged Resources* report: which guid became which, when, and by which key, rule or person."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mergeguard.core import guids
from mergeguard.core.guids import TOMBSTONE
from mergeguard.resources.current import currents_in
from mergeguard.resources.shared_keys import names_of
from mergeguard.storage import assemble
from mergeguard.storage.journal.people import Person, people_in
from mergeguard.storage.source import Progress, Source, silent

if TYPE_CHECKING:
    import numpy.typing as npt

    from mergeguard.core.table import MergeTable, RowId
    from mergeguard.storage.profile import Profile

NO_MATCH: Final = "No Match"
"""Stands for the key of a merge that a person or a program ordered."""


@dataclass(frozen=True, slots=True)
class MergedResource:
    """One row of the merge table."""

    row_id: RowId
    old: uuid.UUID
    new: uuid.UUID | None
    """``None`` where the old was deleted."""
    current: uuid.UUID | None
    """What it is now; ``None`` in a circle and in a split."""
    status: str
    time: dt.datetime | None
    key: str
    """The key or rule that made them one, or ``No Match``."""
    who: str
    """Who merged them, and by which request, where the journal knows."""
    old_name: str
    current_name: str


@dataclass(frozen=True, slots=True)
class MergedResources:
    """The newest merges of a target."""

    rows: int
    """How many there are."""
    merges: tuple[MergedResource, ...]


def merged_resources(
    source: Source, profile: Profile, *, limit: int = 1000, progress: Progress = silent
) -> MergedResources:
    """Report the newest merges, the newest first; without times the last rows.

    Raises:
        CannotCheck: the target could not be read.
    """
    with source.snapshot() as snapshot:
        table = assemble.merge_table(snapshot, profile, progress)
        newest = _newest(table)[:limit]
        olds = np.ascontiguousarray(table.old[newest])
        answers = list(currents_in(snapshot, profile, olds, progress=progress))
        wanted = [guid for answer in answers for guid in (answer.guid, answer.current) if guid is not None]
        called = names_of(snapshot, profile, wanted, progress)
        people = people_in(snapshot, profile, frozenset(answer.guid for answer in answers))
    found = []
    for row, answer in zip(newest.tolist(), answers, strict=True):
        new = guids.to_uuid(table.new, row)
        key = None if table.merge_keys is None else table.merge_keys[row]
        found.append(
            MergedResource(
                table.row_id(row),
                answer.guid,
                None if new == TOMBSTONE else new,
                answer.current,
                answer.status,
                table.time(row),
                (key or "").strip() or NO_MATCH,
                _told(people.get((answer.guid, new))),
                called.get(answer.guid, ""),
                "" if answer.current is None else called.get(answer.current, ""),
            )
        )
    return MergedResources(len(table), tuple(found))


def _newest(table: MergeTable) -> npt.NDArray[np.intp]:
    """Return the rows in their order: by time, those without one last, then the later rows first."""
    rows = np.arange(len(table))
    if table.times is None:
        return rows[::-1].astype(np.intp)
    times = table.times.astype("datetime64[us]").astype(np.int64)  # NaT is the least
    return np.lexsort((rows, times))[::-1]


def _told(person: Person | None) -> str:
    if person is None:
        return ""
    return f"{person.who} ({person.reason})" if person.reason else person.who
