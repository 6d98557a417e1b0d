"""Which rewrites of references depend on which components of a plan: a component is taken back together with its own.

A row that held a guid behind a repaired component was re-pointed because of that repair. Rows that lead to one current,
or that were collapsed into one, belong together: to put back one of them without the others would lose data.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mergeguard.core import guids
from mergeguard.core.facts import Facts
from mergeguard.core.index import GuidIndex
from mergeguard.core.repair.references import Rewrite

Depends: TypeAlias = Mapping[uuid.UUID, Collection[str]]
"""Merged-away guid -> the ids of the components that its way to its current runs through."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rewrites that no row, and no current, joins with others."""

    components: tuple[str, ...]
    """Ids of the components on which some of them depend, in their order."""
    rewrites: Sequence[Rewrite]


def dependents(after: Facts, components: Mapping[str, Collection[uuid.UUID]]) -> dict[uuid.UUID, set[str]]:
    """Return which guids lead, by the merges once repaired, into or through the members of which component."""
    owners: dict[uuid.UUID, list[str]] = defaultdict(list)
    for component, members in components.items():
        for member in members:
            owners[member].append(component)
    if not owners:
        return {}
    every = sorted(owners)
    index = GuidIndex(guids.from_uuids(every))
    begins: dict[str, list[int]] = defaultdict(list)
    for column in (after.table.old, after.table.new):
        places = index.find(column)
        for row in np.flatnonzero(places >= 0).tolist():
            for component in owners[every[places[row]]]:
                begins[component].append(int(after.join.lead[row]))
    found: dict[uuid.UUID, set[str]] = defaultdict(set)
    for component, leads in begins.items():
        for lead in _behind(after, leads):
            found[after.old(lead)].add(component)
    return found


def groups(rewrites: Sequence[Rewrite], depends: Depends) -> Sequence[Group]:
    """Return all rewrites, each in one group and in the order given: first those that depend on no component."""
    if not depends:
        return (Group((), rewrites),) if rewrites else ()
    sets = _joined(rewrites)
    belongs: dict[uuid.UUID, set[str]] = defaultdict(set)
    roots = [sets.root(next(iter(made.stale.values()))[0]) for made in rewrites]
    for made, root in zip(rewrites, roots, strict=True):
        for old, _ in made.stale.values():
            belongs[root].update(depends.get(old, ()))
    found: dict[tuple[str, ...], list[Rewrite]] = defaultdict(list)
    for made, root in zip(rewrites, roots, strict=True):
        found[tuple(sorted(belongs[root]))].append(made)
    return [Group(components, found[components]) for components in sorted(found)]


class _Sets:
    """Disjoint sets of guids."""

    def __init__(self) -> None:
        self._up: dict[uuid.UUID, uuid.UUID] = {}

    def root(self, guid: uuid.UUID) -> uuid.UUID:
        """Return the guid that stands for the set of a guid."""
        way = []
        while (up := self._up.get(guid, guid)) != guid:
            way.append(guid)
            guid = up
        self._up.update(dict.fromkeys(way, guid))
        return guid

    def join(self, members: Iterable[uuid.UUID]) -> None:
        """Make one set of those of some guids."""
        first, *others = {self.root(member) for member in members}
        self._up.update(dict.fromkeys(others, first))


def _joined(rewrites: Sequence[Rewrite]) -> _Sets:
    sets, own = _Sets(), {id(made.change): made for made in rewrites}
    for made in rewrites:
        kept = own.get(id(made.into))
        pairs = (*made.stale.values(), *(() if kept is None else kept.stale.values()))
        sets.join(guid for pair in pairs for guid in pair)
    return sets


def _behind(after: Facts, leads: Iterable[int]) -> set[int]:
    """Return some leads and all that lead to them."""
    seen: set[int] = set()
    waiting = list(leads)
    while waiting:
        lead = waiting.pop()
        if lead not in seen:
            seen.add(lead)
            waiting += after.behind.sources(lead)
    return seen
