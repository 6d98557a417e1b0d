"""Walks that prove a finding: a shortest cycle, the longest chain, the way from a guid to its current."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from mergeguard.core import guids
from mergeguard.core.facts import Facts
from mergeguard.core.rings import Ring

MAX_STARTS = 64
"""From how many conflicting olds a shortest cycle is searched for in a large component."""
SMALL = 2000


def shortest_cycle(facts: Facts, ring: Ring) -> list[int]:
    """Return the rows of one cycle through the component, beginning at its smallest guid.

    It is a shortest one, of equals the one found from the smallest guid; in a component of over ``SMALL`` olds with
    conflicts it is the shortest through any of ``MAX_STARTS`` of them.
    """
    if ring.simple:
        return _from_smallest(facts, _around(facts, int(ring.members[0])))
    inside = {lead: _inner(facts, lead, members) for members in (set(ring.members.tolist()),) for lead in members}
    # Any cycle in a component that is no simple ring passes through an old with several news.
    starts = [lead for lead in facts.by_guid(ring.members).tolist() if lead in facts.raw.branches]
    if len(ring.members) > SMALL:
        starts = starts[:MAX_STARTS]
    best: list[int] | None = None
    for start in starts:
        found = _cycle_through(facts, inside, start, len(ring.members) if best is None else len(best) - 1)
        best = found or best
    if best is None:
        raise ValueError("a component without a cycle")
    return _from_smallest(facts, best)


def _around(facts: Facts, start: int) -> list[int]:
    rows, at = [start], int(facts.join.succ[start])
    while at != start:
        rows.append(at)
        at = int(facts.join.succ[at])
    return rows


def _inner(facts: Facts, lead: int, members: set[int]) -> list[int]:
    return [row for row in facts.ways(lead) if int(facts.join.succ[row]) in members]


def _cycle_through(facts: Facts, inside: Mapping[int, Sequence[int]], start: int, limit: int) -> list[int] | None:
    """Search breadth first for the shortest way back to ``start`` of at most ``limit`` rows; no self-merge counts."""
    came: dict[int, tuple[int, int]] = {}
    queue = deque([(start, 0)])
    while queue:
        lead, far = queue.popleft()
        if far >= limit:
            return None
        for row in inside[lead]:
            after = int(facts.join.succ[row])
            if after == start and lead != start:
                return _back(came, lead, [row], start)
            if after not in came and after != start:
                came[after] = (lead, row)
                queue.append((after, far + 1))
    return None


def _back(came: Mapping[int, tuple[int, int]], lead: int, rows: list[int], start: int) -> list[int]:
    while lead != start:
        lead, row = came[lead]
        rows.append(row)
    return rows[::-1]


def _from_smallest(facts: Facts, rows: list[int]) -> list[int]:
    smallest = min(range(len(rows)), key=lambda at: guids.to_uuid(facts.table.old, rows[at]).bytes)
    return rows[smallest:] + rows[:smallest]


def longest_walk(facts: Facts, lead: int, limit: int) -> list[int]:
    """Return the rows of the longest walk from an old to its current, cut to ``limit`` rows.

    Where the way forks, the fork that lies deepest is taken; of equals the smallest guid.
    """
    rows: list[int] = []
    at, closure = lead, facts.closure
    while len(rows) < limit:
        if closure.live is not None and closure.live[at]:
            break
        row = max(facts.ways(at), key=lambda way: _depth_after(facts, way))
        rows.append(row)
        at = int(facts.join.succ[row])
        if at < 0:
            break
    return rows


def _depth_after(facts: Facts, row: int) -> int:
    after = int(facts.join.succ[row])
    return -1 if after < 0 else int(facts.closure.depth[after])
