"""Cycles as strongly connected components, found over all rows, those that lose a conflict included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mergeguard.core.branches import Branch, closed
from mergeguard.core.index import Rows
from mergeguard.core.join import Join
from mergeguard.core.walk import Arrival, mark

Weights: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ring:
    """A strongly connected component of two guids or more: what a cycle finding is about."""

    members: Rows
    """Leads of its olds, ascending."""
    simple: bool
    """Whether it is nothing but one ring: no member has a second new."""
    down: int
    """How many olds lead into it, its members included."""
    mass: int
    """The weight of those olds."""


def find_rings(
    step: Rows,
    join: Join,
    arrival: Arrival,
    branches: Mapping[int, Branch],
    components: Sequence[Sequence[int]],
    weights: Weights | None,
) -> list[Ring]:
    """Return every cycle of two guids or more; a self-merge is none."""
    through = _through_branches(branches)
    return [
        *_simple_rings(arrival, through, weights),
        *_branching_rings(step, join, branches, components, through),
    ]


def count_falls(arrival: Arrival, branches: Mapping[int, Branch], weights: Weights | None) -> None:
    """Note on each branch how many olds walk into it first, and their weight."""
    if not branches:
        return
    stops = np.fromiter(branches, np.int32, len(branches))
    rows = np.flatnonzero(mark(len(arrival.end), stops)[arrival.end] & (arrival.hops >= 0))
    leads, inverse, counts = np.unique(arrival.end[rows], return_inverse=True, return_counts=True)
    mass = np.zeros(len(leads)) if weights is None else np.bincount(inverse, weights[rows], len(leads))
    for lead, count, weight in zip(leads.tolist(), counts.tolist(), mass.tolist(), strict=True):
        branches[lead].falls, branches[lead].mass = count, int(weight)


def _through_branches(branches: Mapping[int, Branch]) -> dict[int, tuple[int, int]]:
    """Count, for each cycle's name, the olds that reach it through an old with several news, and their weight."""
    down: dict[int, tuple[int, int]] = {}
    for branch in branches.values():
        for name in branch.rings:
            falls, mass = down.get(name, (0, 0))
            down[name] = falls + branch.falls, mass + branch.mass
    return down


def _simple_rings(arrival: Arrival, through: Mapping[int, tuple[int, int]], weights: Weights | None) -> Iterator[Ring]:
    """Group the nodes on cycles of the functional graph by the cycle's name."""
    if not len(arrival.rings):
        return
    names, inverse, falls = np.unique(arrival.end[arrival.looping], return_inverse=True, return_counts=True)
    mass = np.zeros(len(names)) if weights is None else np.bincount(inverse, weights[arrival.looping], len(names))
    name = arrival.end[arrival.rings]
    ranked = np.argsort(name, kind="stable")
    groups = np.split(arrival.rings[ranked], np.flatnonzero(np.diff(name[ranked])) + 1)
    for at, fall, weight, members in zip(names.tolist(), falls.tolist(), mass.tolist(), groups, strict=True):
        if len(members) > 1:
            more, heavier = through.get(at, (0, 0))
            yield Ring(members, simple=True, down=fall + more, mass=int(weight) + heavier)


def _branching_rings(
    step: Rows,
    join: Join,
    branches: Mapping[int, Branch],
    components: Sequence[Sequence[int]],
    through: Mapping[int, tuple[int, int]],
) -> Iterator[Ring]:
    """Expand the components of the contracted graph to all the olds on their walks."""
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
        down, mass = through[-1 - number]
        yield Ring(np.array(sorted(members), np.int32), simple=False, down=down, mass=mass)
