"""Who ordered merges, as the journal has it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from mergeguard.core import guids
from mergeguard.errors import JournalDamaged
from mergeguard.storage.database.snapshot import DatabaseSnapshot
from mergeguard.storage.journal.tables import JournalTables

if TYPE_CHECKING:
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.source import Snapshot

_FETCH: Final = 2000


@dataclass(frozen=True, slots=True)
class Person:
    """Who merged."""

    who: str
    reason: str


def people_in(
    snapshot: Snapshot, profile: Profile, wanted: Collection[uuid.UUID]
) -> Mapping[tuple[uuid.UUID, uuid.UUID], Person]:
    """Return who merged some olds, by old and new root; merges that were taken back are left out.

    A file keeps no journal, and a database that has none tells nothing.

    Raises:
        JournalDamaged: a table of the journal is missing beside the others, or altered.
    """
    found: dict[tuple[uuid.UUID, uuid.UUID], Person] = {}
    if not isinstance(snapshot, DatabaseSnapshot) or not wanted:
        return found
    tables = JournalTables(profile.journal)
    with snapshot.source.translated():
        if not tables.stand(snapshot):
            return found
        runs, steps = tables.runs, tables.steps
        asked = (
            sa.select(steps.c.members, steps.c.survivor, runs.c.who, runs.c.reason)
            .select_from(steps.join(runs, runs.c.run_id == steps.c.run_id))
            .where(runs.c.kind == "merge", steps.c.undone_by.is_(None))
        )
        for members, survivor, who, reason in snapshot.connection.execute(asked).yield_per(_FETCH):
            new = guids.parse(survivor)
            for member in _listed(members):
                old = guids.parse(member)
                if old is not None and new is not None and old in wanted:
                    found[old, new] = Person(who, reason or "")
    return found


def _listed(members: str) -> Sequence[str]:
    try:
        found = json.loads(members)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise JournalDamaged(f"the journal was altered: a step has the members {members[:40]!r}")
    return [str(member) for member in found]
