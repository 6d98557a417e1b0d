"""What the kit's tables hold, as values; and what a merge makes of them, by dictionaries: the oracle."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

Guid: TypeAlias = uuid.UUID
OK = "ok"


@dataclass(frozen=True, slots=True)
class Datum:
    """The one row of a guid in a data class: its newest value."""

    guid: Guid
    value: str
    at: int


@dataclass(frozen=True, slots=True)
class Link:
    """One association."""

    id: int
    parent: Guid
    child: Guid
    at: int


@dataclass(frozen=True, slots=True)
class Tables:
    """All rows at one commit.

    Attributes:
        kinds: the type of every resource that ever was.
        live: the resources that are.
        merges: the log, (old, new).
        lookup: (current, depth, status) of every old.
        tickets: the rows of a foreign key column, by their ids: the resource that each names.
    """

    kinds: Mapping[Guid, str]
    live: frozenset[Guid]
    merges: tuple[tuple[Guid, Guid], ...] = ()
    lookup: Mapping[Guid, tuple[Guid | None, int | None, str]] = field(default_factory=dict)
    data: tuple[Datum, ...] = ()
    links: tuple[Link, ...] = ()
    tickets: Mapping[int, Guid] = field(default_factory=dict)


def guid(number: int) -> Guid:
    """Return a guid of the kit; their text order is not that of the numbers."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"mergeguard test kit {number}")


def steps(tables: Tables) -> dict[Guid, set[Guid]]:
    """Return where each old leads to at once; a live guid is never walked through."""
    found: dict[Guid, set[Guid]] = {}
    for old, new in tables.merges:
        if old not in tables.live:
            found.setdefault(old, set()).add(new)
    return found


def current(tables: Tables, guid: Guid) -> tuple[Guid | None, int | None, str]:
    """Return (current, depth, status) by the words of the semantics; the walk has a visited set."""
    leads, at, depth, seen = steps(tables), guid, 0, {guid}
    while after := leads.get(at):
        if len(after) > 1:
            return None, None, "split"
        (at,) = after
        depth += 1
        if at in seen:
            return None, None, "cycle"
        seen.add(at)
    return at, depth, OK if at in tables.live else "dangling"


def root(tables: Tables, guid: Guid) -> Guid:
    """Return the current of a guid in tables that are a forest."""
    found, _, _ = current(tables, guid)
    assert found is not None, guid  # noqa: S101 - the callers ask about forests only
    return found


def merged(tables: Tables, old: Guid, new: Guid) -> Tables:
    """Return the tables after a merge of two classes; the same tables where they are one class already."""
    one, other = root(tables, old), root(tables, new)
    if one == other:
        return tables
    merges = (*tables.merges, (one, other))
    now = replace(tables, merges=merges, live=tables.live - {one})
    return replace(
        now,
        lookup={each: current(now, each) for each, _ in merges},
        data=newest(now, tables.data),
        links=united(now, tables.links),
        tickets={number: root(now, owner) for number, owner in tables.tickets.items()},
    )


def newest(tables: Tables, data: tuple[Datum, ...]) -> tuple[Datum, ...]:
    """Return the data of each class: the newest, under its current guid."""
    found: dict[Guid, Datum] = {}
    for datum in data:
        moved = replace(datum, guid=root(tables, datum.guid))
        if moved.guid not in found or found[moved.guid].at < moved.at:
            found[moved.guid] = moved
    return tuple(found.values())


def united(tables: Tables, links: tuple[Link, ...]) -> tuple[Link, ...]:
    """Return the associations of currents: none to itself that was none before, one of each, the newest."""
    found: dict[tuple[Guid, Guid], Link] = {}
    for link in links:
        moved = replace(link, parent=root(tables, link.parent), child=root(tables, link.child))
        ends = moved.parent, moved.child
        if moved.parent == moved.child and link.parent != link.child:
            continue
        if ends not in found or found[ends].at < moved.at:
            found[ends] = moved
    return tuple(found.values())
