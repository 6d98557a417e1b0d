"""Events whose messages came before: PostgreSQL is told what they claim, and tells only what is not so.

Mostly all of it is so. Then no rows travel and no objects are made of them: one question, and one statement that
writes down the newer events, for all events of a segment. The question locks nothing but the guids. So what is written
down looks once more, and where somebody else wrote in between the transaction gives way.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from mergeguard.core.importing.claims import Claimed
from mergeguard.core.importing.standing import Linked
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
        SELECT one, other, hash, max(event) AS event
        FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS text[]), CAST(? AS bigint[]))
            AS d (one, other, hash, event)
        GROUP BY one, other, hash ORDER BY one, other
    ), l AS MATERIALIZED (
        SELECT kind, parent, child, max(event) AS event
        FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS bigint[]))
            AS l (kind, parent, child, event)
        GROUP BY kind, parent, child ORDER BY kind, parent, child
    ), data AS (
        UPDATE "ResourceUpdateSummary" AS s
        SET "LastEventId" = greatest(s."LastEventId", d.event), "ModifiedDate" = clock_timestamp()
        FROM d WHERE s."InventoryClassGuid" = d.one AND s."ResourceGuid" = d.other AND s."DataHash" = d.hash
        RETURNING 1
    ), links AS (
        UPDATE "ResourceAssociation" AS a SET "EventId" = greatest(a."EventId", l.event) FROM l
        WHERE a."ResourceAssociationTypeGuid" = l.kind AND a."ParentResourceGuid" = l.parent
            AND a."ChildResourceGuid" = l.child
        RETURNING l.kind, l.parent, l.child, l.event
    )
    SELECT NULL, NULL, NULL, (SELECT count(*) FROM d) - (SELECT count(*) FROM data)
    UNION ALL (SELECT * FROM l EXCEPT SELECT * FROM links)
"""
"""Tells how many data are not as they were said to be, and then the links that do not stand."""


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
    """Return the values of ``AGREE``."""
    return [
        *_columns(4, ((*pair, hash_, each.event) for each in claimed for pair, hash_ in each.claims.data)),
        *_columns(4, ((*ends, each.event) for each in claimed for ends in each.claims.links)),
    ]


def missing(claimed: Sequence[Claimed], told: Sequence[Row]) -> list[Linked]:
    """Return the links that have to be made, when it is told what did not stand.

    Raises:
        Locked: others wrote data meanwhile, or took a link away of which a parent may have only so many.
    """
    (*_, changed), *gone = told
    links = [Linked(*link) for link in gone]
    ends = {end for each in claimed for end, *_ in each.claims.limited} if links else ()
    if changed or any((link.type, link.parent) in ends for link in links):
        raise Locked("other sessions write to the same resources", hint="its events are tried again")
    return links


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
