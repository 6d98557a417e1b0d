"""Works out where guids lead from what a database says of all guids on their walks."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from mergeguard.core.closure import Status
from mergeguard.core.importing.standing import Standing
from mergeguard.core.merging.ends import end_of, steps_of
from mergeguard.storage.importing.spelling import maybe_guid, maybe_time, read_guid

_Resource: TypeAlias = tuple[Any, Any, Any, Any]
"""What stands at a guid that is live, or was: whether it is managed, its status, its type, and when it was created."""


def standings_of(asked: Collection[uuid.UUID], rows: Iterable[Sequence[Any]]) -> Mapping[uuid.UUID, Standing]:
    """Return the standing of each guid.

    Args:
        asked: the guids.
        rows: of all guids on the walks from them, at least one each: guid, whether it is live, managed, its status,
            its type, when it was created, whether it is on the black list, and a new guid, ``None`` where it leads no
            further.
    """
    live: set[uuid.UUID] = set()
    banned: set[uuid.UUID] = set()
    known: dict[uuid.UUID, _Resource] = {}
    pairs: list[tuple[uuid.UUID, uuid.UUID]] = []
    for guid, is_live, managed, status, kind, created, listed, new in rows:
        old = read_guid(guid)
        if is_live:
            live.add(old)
        if listed:
            banned.add(old)
        if new is not None:
            pairs.append((old, read_guid(new)))
        known[old] = managed, status, kind, created
    steps = steps_of(pairs, live)
    found = {}
    for guid in asked:
        at = known[guid] if guid in live else None
        if at is not None:  # a live guid is never walked through
            found[guid] = _standing(guid, guid, Status.OK, at, blacklisted=guid in banned)
            continue
        end = end_of(guid, steps, live)
        at = known[end.current] if end.current is not None and end.current in live else None
        found[guid] = _standing(guid, end.current, end.status, at, blacklisted=guid in banned)
    return found


def _standing(
    guid: uuid.UUID, current: uuid.UUID | None, status: Status, at: _Resource | None, *, blacklisted: bool
) -> Standing:
    if at is None:
        return Standing(guid, current, status, blacklisted=blacklisted)
    managed, state, kind, created = at
    return Standing(
        guid,
        current,
        status,
        live=True,
        type=maybe_guid(kind),
        retired=str(state) == "retired",
        managed=bool(managed),
        created=maybe_time(created),
        blacklisted=blacklisted,
    )
