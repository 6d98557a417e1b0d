"""Key values that several resources share, before an importer finds them and makes one of two."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergeguard.core import guids
from mergeguard.errors import UsageError
from mergeguard.resources.current import currents_in
from mergeguard.storage import assemble
from mergeguard.storage.database.key_groups import KeyGroup, Wanted, key_groups
from mergeguard.storage.database.wanted_cells import texts_of
from mergeguard.storage.source import Progress, Snapshot, Source, silent

if TYPE_CHECKING:
    from mergeguard.storage.profile import Keys, Profile

MOST_LISTED = 10
"""So many resources of one key are named; all are counted."""


@dataclass(frozen=True, slots=True)
class SharedKey:
    """One value of one key."""

    name: str
    value: str
    resources: int
    """How many live resources have it."""
    guids: tuple[uuid.UUID, ...]
    """The first of them in the order of their text."""
    names: tuple[str, ...] = ()
    """What people call these; empty texts where nobody says."""


@dataclass(frozen=True, slots=True)
class SharedKeys:
    """What a table of keys holds twice or more."""

    values: int
    """How many values are shared."""
    keys: tuple[SharedKey, ...]
    """Those with the most resources, at most as many as were asked for."""


def shared_keys(
    source: Source, profile: Profile, *, names: Collection[str] = (), limit: int = 1000, progress: Progress = silent
) -> SharedKeys:
    """Find the key values that several resources share now, those with the most resources first.

    Keys of merged-away guids count for what the guids are now; dead guids do not count, where liveness is declared.

    Args:
        source: any target.
        profile: must declare keys.
        names: of keys, without case; all without any.
        limit: how many to list.
        progress: is told of the readings.

    Raises:
        UsageError: the profile declares no keys.
        CannotCheck: the target could not be read.
    """
    keys = require_keys(profile)
    chosen = frozenset(name.strip().lower() for name in names)
    with source.snapshot() as snapshot:
        found = groups_of(snapshot, profile, keys, chosen.__contains__ if chosen else None, progress=progress)
        ranked = sorted(found, key=lambda group: (-len(group.guids), group.name.lower(), group.value.lower()))
        listed = [(group, sorted(group.guids, key=str)[:MOST_LISTED]) for group in ranked[:limit]]
        called = names_of(snapshot, profile, (each for _, some in listed for each in some), progress)
    told = (
        SharedKey(group.name, group.value, len(group.guids), tuple(some), tuple(called.get(each, "") for each in some))
        for group, some in listed
    )
    return SharedKeys(len(found), tuple(told))


def require_keys(profile: Profile) -> Keys:
    """Return where keys stand.

    Raises:
        UsageError: the profile does not say it.
    """
    if profile.keys is None:
        raise UsageError("the profile does not say where keys stand", hint="declare [keys]: table, guid, name, value")
    return profile.keys


def groups_of(
    snapshot: Snapshot, profile: Profile, keys: Keys, wanted: Wanted | None, *, progress: Progress = silent
) -> list[KeyGroup]:
    """Return the keys that several live resources share, with what the guids beside them are now."""
    found = list(key_groups(snapshot, profile, keys, wanted, progress).values())
    everyone = list(dict.fromkeys(guid for group in found for guid in group.guids))
    now = _now(snapshot, profile, everyone, progress)
    for group in found:
        group.guids = dict.fromkeys(now[guid] for guid in group.guids if guid in now)
    return [group for group in found if len(group.guids) > 1]


def names_of(
    snapshot: Snapshot, profile: Profile, wanted: Iterable[uuid.UUID], progress: Progress = silent
) -> Mapping[uuid.UUID, str]:
    """Return what people call some guids, where the profile and its table say so."""
    names = profile.names
    if names is None:
        return {}
    return texts_of(snapshot, profile, (names.table, names.guid, names.name), frozenset(wanted), progress)


def _now(
    snapshot: Snapshot, profile: Profile, everyone: list[uuid.UUID], progress: Progress
) -> Mapping[uuid.UUID, uuid.UUID]:
    """Return what guids are now; those that lead nowhere and those that are not live are left out."""
    if not everyone:
        return {}
    answers = currents_in(snapshot, profile, guids.from_uuids(everyone), progress=progress)
    now = {answer.guid: answer.current for answer in answers if answer.current is not None}
    column = assemble.live_guids(snapshot, profile, progress)
    if column is None:
        return now
    packed = column.tobytes()
    wanted = {current.bytes for current in now.values()}
    live = {packed[at : at + 16] for at in range(0, len(packed), 16)} & wanted
    return {guid: current for guid, current in now.items() if current.bytes in live}
