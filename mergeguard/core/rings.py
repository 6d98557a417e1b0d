"""Cycles as strongly connected components, found over all rows, those that lose a conflict included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mergeguard.core.branches import Branch, closed
from mergeguard.core.join import Join, Rows
from mergeguard.core.walk import Arrival, mark


@dataclass(frozen=True, slots=True)
class Ring:
    """A strongly connected component of two guids or more: what a cycle finding is about."""

    members: Rows
    """Leads of its olds, ascending."""
    simple: bool
    """Whether it is nothing but one ring: no member has a second new."""
    down: int
    """How many olds lead into it, its members included."""


def find_rings(
    step: Rows, join: Join, arrival: Arrival, branches: Mapping[int, Branch], components: Sequence[Sequence[int]]
) -> list[Ring]:
    """Return every cycle of two guids or more; a self-merge is none."""
    through = _through_branches(arrival, branches)
    simple = _simple_rings(arrival, through)
    return simple + _branching_rings(step, join, branches, components, through)


def _through_branches(arrival: Arrival, branches: Mapping[int, Branch]) -> dict[int, int]:
    """Count, for each cycle's name, the olds that reach it through an old with several news."""
    down: dict[int, int] = {}
    if not any(branch.rings for branch in branches.values()):
        return down
    stops = np.fromiter(branches, np.int32, len(branches))
    arrived = arrival.end[mark(len(arrival.end), stops)[arrival.end] & (arrival.hops >= 0)]
    leads, counts = np.unique(arrived, return_counts=True)
    for lead, count in zip(leads.tolist(), counts.tolist(), strict=True):
        for name in branches[lead].rings:
            down[name] = down.get(name, 0) + count
    return down


def _simple_rings(arrival: Arrival, through: Mapping[int, int]) -> list[Ring]:
    """Group the nodes on cycles of the functional graph by the cycle's name."""
    if not len(arrival.rings):
        return []
    names, falls = np.unique(arrival.end[arrival.looping], return_counts=True)
    name = arrival.end[arrival.rings]
    ranked = np.argsort(name, kind="stable")
    groups = np.split(arrival.rings[ranked], np.flatnonzero(np.diff(name[ranked])) + 1)
    return [
        Ring(members, simple=True, down=fall + through.get(at, 0))
        for at, fall, members in zip(names.tolist(), falls.tolist(), groups, strict=True)
        if len(members) > 1
    ]


def _branching_rings(
    step: Rows,
    join: Join,
    branches: Mapping[int, Branch],
    components: Sequence[Sequence[int]],
    through: Mapping[int, int],
) -> list[Ring]:
    """Expand the components of the contracted graph to all the olds on their walks."""
    rings = []
    for number, component in enumerate(components):
        ways = closed(branches, component)
        if not ways:
            continue
        members = set(component)
        for way in ways:
            at = int(join.succ[way.row])
            while at not in members:
                members.add(at)
                at = int(step[at])
        found = np.array(sorted(members), np.int32)
        rings.append(Ring(found, simple=False, down=through.get(-1 - number, len(found))))
    return rings
