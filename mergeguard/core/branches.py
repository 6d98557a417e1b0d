"""Olds with several news, contracted: a small graph whose edges are whole walks between such olds.

Everything here costs time in proportion to the rows that are in conflict, not to the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

SPLIT = -1
"""In place of a terminal: there are two or more."""
NOWHERE = -2
"""In place of a terminal: every walk loops."""
MAX_RINGS = 32
"""How many cycles are remembered a branch; one that leads into more counts as down for the first ones only."""


@dataclass(frozen=True, slots=True)
class Exit:
    """One way on from a branch: a row and where the walk through it gets to.

    Exactly one of ``branch``, ``terminal`` and ``ring`` is not ``None``: the lead of the next branch, the number of a
    terminal guid with the row ``end`` that names it, or the name of a cycle.
    """

    row: int
    weight: int
    """Merges on the walk, this row included."""
    branch: int | None = None
    terminal: int | None = None
    end: int = -1
    ring: int | None = None


@dataclass(slots=True)
class Branch:
    """An old with two distinct news or more, and what becomes of it."""

    lead: int
    exits: Sequence[Exit]
    component: int = -1
    """Number of its strongly connected component; a component comes after all that it leads to."""
    loops: bool = False
    """Whether some walk from it never ends."""
    terminal: int = NOWHERE
    end: int = -1
    depth: int = 0
    rings: frozenset[int] = field(default_factory=frozenset)
    """Names of the cycles it reaches: a simple ring's smallest node, or ``-1 - component``."""
    falls: int = 1
    """How many olds walk into it before any other branch, itself included."""
    mass: int = 0
    """The weight of those olds, see ``closure.close``."""

    @property
    def current(self) -> bool:
        """Whether all its walks end at one guid."""
        return not self.loops and self.terminal >= 0


def settle(branches: Mapping[int, Branch]) -> list[list[int]]:
    """Decide every branch in an order in which what it leads to is decided first; return the components in it."""
    components = list(_components(branches))
    for number, members in enumerate(components):
        for lead in members:
            branches[lead].component = number
        _settle_component(branches, members, number)
    return components


def closed(branches: Mapping[int, Branch], members: Sequence[int]) -> list[Exit]:
    """Return the exits that stay within a component and make a cycle of two guids or more."""
    component = branches[members[0]].component
    inner = [
        (lead, way)
        for lead in members
        for way in branches[lead].exits
        if way.branch is not None and branches[way.branch].component == component
    ]
    return [way for lead, way in inner if way.branch != lead or way.weight > 1]


def _settle_component(branches: Mapping[int, Branch], members: Sequence[int], number: int) -> None:
    ways = [way for lead in members for way in branches[lead].exits]
    inner = [way for way in ways if way.branch is not None and branches[way.branch].component == number]
    outer = [way for way in ways if way.branch is None or branches[way.branch].component != number]
    looping = bool(inner)
    terminal, end, depth = NOWHERE, -1, 0
    rings: set[int] = {-1 - number} if closed(branches, members) else set()
    for way in outer:
        if way.ring is not None:
            looping = True
            rings.add(way.ring)
            continue
        after = None if way.branch is None else branches[way.branch]
        reached, at = (way.terminal, way.end) if after is None else (after.terminal, after.end)
        if after is not None:
            looping |= after.loops
            rings |= after.rings
        if reached is None or reached == NOWHERE:
            continue
        depth = max(depth, way.weight + (0 if after is None else after.depth))
        # Of equal terminals the smallest row names it, so that the order of the exits does not matter.
        end = at if terminal == NOWHERE else min(end, at)
        terminal = reached if terminal in (NOWHERE, reached) else SPLIT
    shared = frozenset(sorted(rings)[:MAX_RINGS])
    for lead in members:
        branch = branches[lead]
        branch.loops, branch.terminal, branch.end, branch.depth, branch.rings = looping, terminal, end, depth, shared


def _components(branches: Mapping[int, Branch]) -> Iterator[list[int]]:
    """Yield strongly connected components, each after those it leads to (Tarjan 1972, without recursion)."""
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    done: set[int] = set()
    for root in branches:
        if root in number:
            continue
        path = [(root, _ways(branches, root))]
        number[root] = low[root] = len(number)
        stack.append(root)
        while path:
            lead, ways = path[-1]
            for after in ways:
                if after not in number:
                    number[after] = low[after] = len(number)
                    stack.append(after)
                    path.append((after, _ways(branches, after)))
                    break
                if after not in done:
                    low[lead] = min(low[lead], number[after])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[lead])
                if low[lead] == number[lead]:
                    component = _pop_until(stack, lead)
                    done.update(component)
                    yield component


def _ways(branches: Mapping[int, Branch], lead: int) -> Iterator[int]:
    return (way.branch for way in branches[lead].exits if way.branch is not None)


def _pop_until(stack: list[int], lead: int) -> list[int]:
    at = len(stack) - 1
    while stack[at] != lead:
        at -= 1
    component = stack[at:]
    del stack[at:]
    return component
