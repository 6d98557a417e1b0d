"""Events whose messages came before: PostgreSQL is told what they claim, and tells only what is not so.

Mostly all of it is so. Then no rows travel and no objects are made of them: one question, and one statement that
writes down the newer events, for all events of a segment. The question locks nothing but the guids. So what is written
down looks once more, and where somebody else wrote in between the transaction gives way.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeAlias

from mergeguard.core.importing.claims import Claimed, Claims, Pair
from mergeguard.errors import Locked
from mergeguard.storage.importing.postgresql_arrays import (
    guid_elements,
    number_elements,
    of_guids,
    of_numbers,
    of_texts,
    text_elements,
)

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
    spelled = [_spelled(each.claims) for each in claimed]
    return [
        of_guids([guid_elements(guids)]),
        of_guids([each.typed for each in spelled]),
        of_guids([each.types for each in spelled]),
        of_texts([each.names for each in spelled]),
        of_texts([each.values for each in spelled]),
        of_guids([each.owners for each in spelled]),
        *_data(claimed),
        of_guids([each.limited for each in spelled]),
        of_guids([each.parents for each in spelled]),
        of_guids([each.children for each in spelled]),
        of_numbers([each.most for each in spelled]),
    ]


def standing(claimed: Sequence[Claimed], guids: Sequence[uuid.UUID], doubts: Iterable[Row]) -> dict[int, Claimed]:
    """Return what stands, by event, when it is told what does not: (which list, the number in it from 1)."""
    found = {each.event: each for each in claimed}
    rows = list(doubts)
    if not rows:
        return found
    events = {
        _TYPE: _types(claimed),
        _KEY: [each.event for each in claimed for _ in each.claims.keys],
        _DATA: [each.event for each in claimed for _ in each.claims.data],
        _LINK: _limited(claimed),
    }
    strange = {guids[at - 1] for which, at in rows if which == _GUID}
    gone = {events[which][at - 1] for which, at in rows if which != _GUID}
    return {event: each for event, each in found.items() if event not in gone and strange.isdisjoint(each.guids)}


def agreed(claimed: Sequence[Claimed]) -> list[Any]:
    """Return the values of ``AGREE``; a link that several events claim counts as one that does not stand."""
    links = [(_spelled(each.claims).links, each) for each in claimed]
    return [
        *_data(_distinct(claimed)),
        *(of_guids([ends[number] for ends, _ in links]) for number in range(3)),
        of_numbers([number_elements(each.event, len(each.claims.links)) for _, each in links]),
    ]


def all_links_stood(claimed: Sequence[Claimed], told: Row) -> bool:
    """Say whether the links stood, when it is told what ``AGREE`` tells; else nobody knows which did not.

    Raises:
        Locked: not all data were as they were said to be: others wrote them meanwhile.
    """
    data, links = told
    if data != sum(len(each.claims.data) for each in _distinct(claimed)):
        raise others_wrote()
    return bool(links == sum(len(each.claims.links) for each in claimed))


def others_wrote() -> Locked:
    """Return the error for what did not stay as it stood."""
    return Locked("other sessions write to the same resources", hint="its events are tried again")


def _distinct(claimed: Sequence[Claimed]) -> Sequence[Claimed]:
    """Return events whose data are about resources of their own; of others each datum with its newest event alone."""
    subjects = frozenset().union(*(each.claims.subjects for each in claimed))
    if len(subjects) == sum(len(each.claims.subjects) for each in claimed):
        return claimed
    newest: dict[tuple[Pair, str], int] = {}
    for each in sorted(claimed, key=attrgetter("event")):
        newest.update(dict.fromkeys(each.claims.data, each.event))
    return [Claimed(event, Claims((), (), (datum,), (), ()), frozenset()) for datum, event in newest.items()]


def _data(claimed: Sequence[Claimed]) -> list[Any]:
    """Return classes, resources, hashes and events of data."""
    spelled = [_spelled(each.claims) for each in claimed]
    return [
        of_guids([each.classes for each in spelled]),
        of_guids([each.resources for each in spelled]),
        of_texts([each.hashes for each in spelled]),
        of_numbers([number_elements(each.event, len(each.claims.data)) for each in claimed]),
    ]


@dataclass(frozen=True, slots=True)
class _Spelled:
    """What a message claims, as parts of arrays."""

    typed: bytes
    types: bytes
    names: str
    values: str
    owners: bytes
    classes: bytes
    resources: bytes
    hashes: str
    limited: bytes
    parents: bytes
    children: bytes
    most: bytes
    links: tuple[bytes, bytes, bytes]

    @classmethod
    def of(cls, claims: Claims) -> _Spelled:
        """Spell claims."""
        types = [(guid, kind) for guid, kind in claims.resources if kind is not None]
        limited = [(*end, child, most) for end, most, children in claims.limited for child in children]
        kinds, parents, children = ([one[number] for one in claims.links] for number in range(3))
        return cls(
            guid_elements([guid for guid, _ in types]),
            guid_elements([kind for _, kind in types]),
            text_elements([name for (name, _), _ in claims.keys]),
            text_elements([value for (_, value), _ in claims.keys]),
            guid_elements([owner for _, owner in claims.keys]),
            guid_elements([data_class for (data_class, _), _ in claims.data]),
            guid_elements([resource for (_, resource), _ in claims.data]),
            text_elements([hash_ for _, hash_ in claims.data]),
            guid_elements([kind for kind, *_ in limited]),
            guid_elements([parent for _, parent, *_ in limited]),
            guid_elements([child for *_, child, _ in limited]),
            b"".join([number_elements(most) for *_, most in limited]),
            (guid_elements(kinds), guid_elements(parents), guid_elements(children)),
        )


def _spelled(claims: Claims) -> _Spelled:
    found: _Spelled | None = claims.spelled.get("postgresql")
    if found is None:
        found = claims.spelled["postgresql"] = _Spelled.of(claims)
    return found


def _types(claimed: Iterable[Claimed]) -> list[int]:
    """Return the event of each type that is claimed, in the order in which they are sent."""
    return [each.event for each in claimed for _, kind in each.claims.resources if kind is not None]


def _limited(claimed: Iterable[Claimed]) -> list[int]:
    """Return the event of each link of which there may be only so many, in the order in which they are sent."""
    return [each.event for each in claimed for _, _, children in each.claims.limited for _ in children]
