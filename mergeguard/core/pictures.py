"""Small graphs to draw: the neighbourhood of a finding or of one guid."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterable

import numpy as np

from mergeguard.core.closure import Status
from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_PICTURE, Picture, PictureNode, Role
from mergeguard.core.guids import TOMBSTONE


def neighbourhood(
    facts: Facts, leads: Iterable[int], *, total: int, focus: uuid.UUID | None = None, limit: int = MAX_PICTURE
) -> Picture:
    """Draw the given olds first, then what hangs on them in either direction, up to ``limit`` guids.

    ``total`` is how many guids the whole would have; what is left out is counted.
    """
    chosen = _spread(facts, leads, limit)
    inner = dict.fromkeys(chosen)
    nodes = {facts.old(lead): _old_role(facts, lead) for lead in inner}
    edges: dict[tuple[uuid.UUID, uuid.UUID], None] = {}
    for lead in inner:
        for row in facts.ways(lead):
            old, new = facts.old(row), facts.new(row)
            if int(facts.join.succ[row]) in inner:
                edges[old, new] = None
            elif int(facts.join.succ[row]) < 0 and (new in nodes or len(nodes) < limit):
                nodes.setdefault(new, _terminal_role(facts, row))
                edges[old, new] = None
    drawn = tuple(PictureNode(guid, _label(facts, guid), role, guid == focus) for guid, role in nodes.items())
    return Picture(drawn, tuple(edges), max(0, total - len(drawn)))


def _spread(facts: Facts, leads: Iterable[int], limit: int) -> list[int]:
    """Go outwards from the leads, forwards and backwards, until ``limit`` olds are found."""
    found = list(dict.fromkeys(leads))[:limit]
    seen = set(found)
    queue = deque(found)
    while queue and len(found) < limit:
        lead = queue.popleft()
        onward = [int(facts.join.succ[row]) for row in facts.ways(lead)]
        back = facts.by_guid(np.array(facts.behind.sources(lead), np.int32)).tolist()
        for near in [*onward, *back]:
            if near >= 0 and near not in seen and len(found) < limit:
                seen.add(near)
                found.append(near)
                queue.append(near)
    return found


def _old_role(facts: Facts, lead: int) -> Role:
    if facts.liveness is not None and facts.liveness.old[lead]:
        return Role.CURRENT
    if lead in facts.on_ring:
        return Role.CYCLE
    return Role.SPLIT if lead in facts.raw.branches and facts.raw.status[lead] == Status.SPLIT else Role.TREE


def _terminal_role(facts: Facts, row: int) -> Role:
    if facts.new(row) == TOMBSTONE:
        return Role.DELETED
    return Role.DEAD if facts.liveness is not None and not facts.liveness.new[row] else Role.CURRENT


def _label(facts: Facts, guid: uuid.UUID) -> str:
    return "deleted" if guid == TOMBSTONE else facts.table.labels.get(guid, str(guid))
