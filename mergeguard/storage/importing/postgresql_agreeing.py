"""Events whose messages came before: PostgreSQL is told what they claim, and tells only what is not so.

Mostly all of it is so. Then no rows travel and no objects are made of them: one question, and one statement that
writes down the newer events, for all events of a segment. The question locks nothing but the guids. So what is written
down looks once more, and where somebody else wrote in between the transaction gives way.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

from mergeguard.core.importing.claims import Claimed, Pair
from mergeguard.errors import Locked
from mergeguard.storage.importing.postgresql_arrays import array

Row: TypeAlias = Sequence[Any]
_GUID, _TYPE, _KEY, _DATA, _LINK = range(1, 6)
DOUBT: Final = f"""
    SELECT {_GUID}, k.at FROM unnest(CAST(? AS uuid[])) WITH ORDINALITY AS k (guid, at)
    WHERE (SELECT i."Status" FROM "ItemResource" AS i WHERE i."Guid" = k.guid) IS DISTINCT FROM 'active'
        OR (SELECT b."Guid" FROM "AgentBlacklist" AS b WHERE b."Guid" = k.guid) IS NOT NULL
    UNION ALL
    SELECT {_TYPE}, k.at FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[])) WITH ORDINALITY AS k (guid, kind, at)
    WHERE (SELECT t."ResourceTypeGuid" FROM "Item" AS t WHERE t."Guid" = k.guid) IS DISTINCT FROM k.kind
    UNION ALL
    SELECT {_KEY}, k.at
    FROM unnest(CAST(? AS text[]), CAST(? AS text[]), CAST(? AS uuid[])) WITH ORDINALITY AS k (n, v, owner, at)
    WHERE (
        SELECT count(*) = 1 AND bool_and(r."ResourceGuid" = k.owner AND r."KeyName" = k.n AND r."KeyValue" = k.v)
        FROM "ResourceKey" AS r WHERE lower(r."KeyName") = lower(k.n) AND lower(r."KeyValue") = lower(k.v)
    ) IS NOT TRUE
    UNION ALL
    SELECT {_DATA}, k.at
    FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS text[]), CAST(? AS bigint[]))
        WITH ORDINALITY AS k (one, other, hash, event, at)
    WHERE (
        SELECT s."DataHash" = k.hash AND (s."LastEventId" < k.event) IS NOT FALSE FROM "ResourceUpdateSummary" AS s
        WHERE s."InventoryClassGuid" = k.one AND s."ResourceGuid" = k.other
    ) IS NOT TRUE
    UNION ALL
    SELECT {_LINK}, k.at
    FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS bigint[]))
        WITH ORDINALITY AS k (kind, parent, child, most, at)
    WHERE (
        SELECT count(*) <= k.most AND bool_or(a."ChildResourceGuid" = k.child) FROM "ResourceAssociation" AS a
        WHERE a."ResourceAssociationTypeGuid" = k.kind AND a."ParentResourceGuid" = k.parent
    ) IS NOT TRUE
"""  # noqa: S608 - numbers of this module
"""Each list by index, for the reason that ``WALK`` has: a subquery that gives one value is never made a join."""
AGREE: Final = """
    WITH d AS MATERIALIZED (
        SELECT * FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS text[]), CAST(? AS bigint[]))
            AS d (one, other, hash, event)
        ORDER BY one, other
    ), l AS MATERIALIZED (
        SELECT * FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS bigint[]))
            AS l (kind, parent, child, event)
        ORDER BY kind, parent, child
    ), data AS (
        UPDATE "ResourceUpdateSummary" AS s
        SET "LastEventId" = greatest(s."LastEventId", d.event), "ModifiedDate" = clock_timestamp()
        FROM d WHERE s."InventoryClassGuid" = d.one AND s."ResourceGuid" = d.other AND s."DataHash" = d.hash
        RETURNING 1
    ), links AS (
        UPDATE "ResourceAssociation" AS a SET "EventId" = greatest(a."EventId", l.event) FROM l
        WHERE a."ResourceAssociationTypeGuid" = l.kind AND a."ParentResourceGuid" = l.parent
            AND a."ChildResourceGuid" = l.child
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM data), (SELECT count(*) FROM links)
"""
"""Tells how many data were as they were said to be, and how many links stood; each is given once."""


def doubted(claimed: Sequence[Claimed], guids: Sequence[uuid.UUID]) -> list[Any]:
    """Return the values of ``DOUBT``.

    Args:
        claimed: by some events.
        guids: of all of them, each once.
    """
    return [
        array(guids),
        *_columns(2, ((guid, kind) for _, guid, kind in _types(claimed))),
        *_columns(3, ((*named, owner) for each in claimed for named, owner in each.claims.keys)),
        *_columns(4, ((*pair, hash_, each.event) for each in claimed for pair, hash_ in each.claims.data)),
        *_columns(4, (link for _, *link in _limited(claimed))),
    ]


def standing(claimed: Sequence[Claimed], guids: Sequence[uuid.UUID], doubts: Iterable[Row]) -> dict[int, Claimed]:
    """Return what stands, by event, when it is told what does not: (which list, the number in it from 1)."""
    found = {each.event: each for each in claimed}
    rows = list(doubts)
    if not rows:
        return found
    events = {
        _TYPE: [event for event, *_ in _types(claimed)],
        _KEY: [each.event for each in claimed for _ in each.claims.keys],
        _DATA: [each.event for each in claimed for _ in each.claims.data],
        _LINK: [event for event, *_ in _limited(claimed)],
    }
    strange = {guids[at - 1] for which, at in rows if which == _GUID}
    gone = {events[which][at - 1] for which, at in rows if which != _GUID}
    return {event: each for event, each in found.items() if event not in gone and strange.isdisjoint(each.guids)}


def agreed(claimed: Sequence[Claimed]) -> list[Any]:
    """Return the values of ``AGREE``; a link that several events claim counts as one that does not stand."""
    return [
        *_columns(4, ((*pair, hash_, event) for pair, hash_, event in _data(claimed))),
        *_columns(4, ((*ends, each.event) for each in claimed for ends in each.claims.links)),
    ]


def all_links_stood(claimed: Sequence[Claimed], told: Row) -> bool:
    """Say whether the links stood, when it is told what ``AGREE`` tells; else nobody knows which did not.

    Raises:
        Locked: not all data were as they were said to be: others wrote them meanwhile.
    """
    data, links = told
    if data != sum(1 for _ in _data(claimed)):
        raise others_wrote()
    return bool(links == sum(len(each.claims.links) for each in claimed))


def others_wrote() -> Locked:
    """Return the error for what did not stay as it stood."""
    return Locked("other sessions write to the same resources", hint="its events are tried again")


def _data(claimed: Sequence[Claimed]) -> Iterable[tuple[Pair, str, int]]:
    """Return all data, each once, with the newest event that claims it."""
    subjects = frozenset().union(*(each.claims.subjects for each in claimed))
    if len(subjects) == sum(len(each.claims.subjects) for each in claimed):
        return [(pair, hash_, each.event) for each in claimed for pair, hash_ in each.claims.data]
    newest: dict[tuple[Pair, str], int] = {}
    for each in sorted(claimed, key=attrgetter("event")):
        newest.update(dict.fromkeys(each.claims.data, each.event))
    return [(pair, hash_, event) for (pair, hash_), event in newest.items()]


def _types(claimed: Iterable[Claimed]) -> Iterator[tuple[int, uuid.UUID, uuid.UUID]]:
    for each in claimed:
        for guid, kind in each.claims.resources:
            if kind is not None:
                yield each.event, guid, kind


def _limited(claimed: Iterable[Claimed]) -> Iterator[tuple[int, uuid.UUID, uuid.UUID, uuid.UUID, int]]:
    for each in claimed:
        for (kind, parent), most, children in each.claims.limited:
            for child in children:
                yield each.event, kind, parent, child, most


def _columns(width: int, rows: Iterable[Row]) -> list[Any]:
    """Return an array each column, for no rows as well."""
    every = list(rows)
    return [array(column) for column in zip(*every, strict=True)] if every else [array(())] * width
