"""Gather what is known of the guids that a repair has to choose between, and where each piece was read."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from mergeguard.core import guids as columns
from mergeguard.core.columns import ReferenceCounts, TypeTable
from mergeguard.core.facts import Facts
from mergeguard.core.index import GuidIndex
from mergeguard.core.repair.evidence import Known, ReadFrom
from mergeguard.storage.database.known_guids import KnownGuids
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Snapshot

Counts: TypeAlias = Mapping[uuid.UUID, int]


def gather(
    snapshot: Snapshot, profile: Profile, facts: Facts, guids: Collection[uuid.UUID]
) -> tuple[dict[uuid.UUID, Known], ReadFrom]:
    """Return what is known of each guid, and where it was read.

    What the facts hold already is taken from them. Of everything else only the rows of these guids are read. A guid
    that has two owners, or two types, in the tables has none here: what contradicts itself is no evidence.

    Raises:
        UnknownSchema: a table or column that the profile names does not exist.
        CannotCheck: any other reason, see ``errors``.
    """
    wanted = sorted(set(guids))
    reader = KnownGuids(snapshot, profile, wanted, facts.table.labels)
    live = _live(facts, wanted)
    types = _types(reader, profile, facts, wanted)
    references = _references(reader, profile, facts, wanted)
    keys = _keys(reader, profile, references)
    contact = _contact(reader, profile)
    owners = _owners(reader, profile)
    names = _names(reader, profile)
    known = {
        guid: Known(
            guid,
            live=None if live is None else guid in live,
            type=types.get(guid),
            keys=None if keys is None else keys.get(guid, 0),
            references=None
            if references is None
            else {name: counts[guid] for name, counts in references.items() if counts.get(guid)},
            last_contact=contact.get(guid),
            owner=owners.get(guid),
            name=names.get(guid),
        )
        for guid in wanted
    }
    return known, read_from(profile, facts)


def read_from(profile: Profile, facts: Facts) -> ReadFrom:
    """Say in which ``table.column`` each kind of evidence stands. Row ids that are texts say nothing of an order."""
    merge, live, types, keys = profile.merge, profile.live, profile.types, profile.keys
    contact, owner = profile.contact, profile.owner
    ordered = merge.row_id is not None and isinstance(facts.table.row_ids, np.ndarray)
    return ReadFrom(
        live=None if live is None else "the profile's query" if live.query else f"{live.table}.{live.guid}",
        types=None if types is None else f"{types.table}.{types.type}",
        keys=None if keys is None else f"{keys.table}.{keys.guid}",
        references=tuple(map(str, profile.references)),
        row_id=f"{merge.table}.{merge.row_id}" if ordered else None,
        time=None if merge.time is None else f"{merge.table}.{merge.time}",
        contact=None if contact is None else f"{contact.table}.{contact.time}",
        owner=None if owner is None else f"{owner.table}.{owner.server}",
        here=None if owner is None else owner.here,
    )


def _live(facts: Facts, wanted: Sequence[uuid.UUID]) -> frozenset[uuid.UUID] | None:
    live = facts.declared.live
    if live is None:
        return None
    # The few are indexed and the many looked up: the other way round costs twice as much.
    places = GuidIndex(columns.from_uuids(wanted)).find(live)
    return frozenset(wanted[at] for at in set(places[places >= 0].tolist()))


def _types(reader: KnownGuids, profile: Profile, facts: Facts, wanted: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    if profile.types is None:
        return {}
    if facts.declared.types is not None:
        return _only(_types_read(facts.declared.types, wanted))
    return _only(reader.texts(profile.types.table, profile.types.guid, profile.types.type))


def _types_read(table: TypeTable, wanted: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Collection[str]]:
    places = GuidIndex(columns.from_uuids(wanted)).find(table.guids)
    found: dict[uuid.UUID, set[str]] = defaultdict(set)
    for row in np.flatnonzero(places >= 0).tolist():
        found[wanted[places[row]]].add(table.names[table.codes[row]])
    return found


def _keys(reader: KnownGuids, profile: Profile, references: Mapping[str, Counts] | None) -> Counts | None:
    keys = profile.keys
    if keys is None:
        return None
    # In most profiles the key table is one of the references, and counted by now.
    counted = (references or {}).get(f"{keys.table}.{keys.guid}")
    return reader.counts(keys.table, keys.guid) if counted is None else counted


def _references(
    reader: KnownGuids, profile: Profile, facts: Facts, wanted: Sequence[uuid.UUID]
) -> Mapping[str, Counts] | None:
    if not profile.references:
        return None
    if facts.declared.references is not None:
        return {counted.reference: _counted(counted, wanted) for counted in facts.declared.references}
    return {str(reference): reader.counts(reference.table, reference.column) for reference in profile.references}


def _counted(counted: ReferenceCounts, wanted: Sequence[uuid.UUID]) -> Counts:
    """Pick the counts of the wanted guids; a guid that a column spells in several ways stands there several times."""
    places = GuidIndex(columns.from_uuids(wanted)).find(counted.guids)
    held = np.flatnonzero(places >= 0)
    totals = np.zeros(len(wanted), np.int64)
    np.add.at(totals, places[held], counted.counts[held])
    return {wanted[at]: int(totals[at]) for at in np.flatnonzero(totals).tolist()}


def _contact(reader: KnownGuids, profile: Profile) -> Mapping[uuid.UUID, dt.datetime]:
    contact = profile.contact
    return {} if contact is None else reader.latest(contact.table, contact.guid, contact.time)


def _owners(reader: KnownGuids, profile: Profile) -> Mapping[uuid.UUID, str]:
    owner = profile.owner
    return {} if owner is None else _only(reader.texts(owner.table, owner.guid, owner.server))


def _names(reader: KnownGuids, profile: Profile) -> Mapping[uuid.UUID, str]:
    names = profile.names
    if names is None:
        return {}
    return {guid: min(texts) for guid, texts in reader.texts(names.table, names.guid, names.name).items()}


def _only(texts: Mapping[uuid.UUID, Collection[str]]) -> dict[uuid.UUID, str]:
    """Keep the guids beside which one text stands."""
    return {guid: next(iter(found)) for guid, found in texts.items() if len(found) == 1}
