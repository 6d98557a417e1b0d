"""Small graphs to draw: the neighbourhood of a finding or of one guid."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from mergeguard.core.closure import Status
from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_PICTURE, Picture, PictureNode, Role
from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.index import GuidIndex


def neighbourhood(
    facts: Facts, leads: Iterable[int], *, focus: uuid.UUID | None = None, limit: int = MAX_PICTURE
) -> Picture:
    """Draw the given olds first, then what hangs on them in either direction, up to ``limit`` guids.

    The whole would be all olds that hang on the given ones through olds, and the guids they end at; what is left out of
    it is counted. ``focus`` is the first of the olds, or a terminal that it is merged into; it is always drawn.
    """
    chosen = list(dict.fromkeys(leads))
    ended = {facts.new(row): _terminal_role(facts, row) for row in facts.ways(chosen[0]) if facts.join.succ[row] < 0}
    kept = {guid: role for guid, role in ended.items() if guid == focus}
    inner = dict.fromkeys(_spread(facts, chosen, limit - len(kept)))
    nodes = {facts.old(lead): _old_role(facts, lead) for lead in inner} | kept
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
    whole = len(drawn) if len(drawn) < limit else _whole(facts, chosen)
    return Picture(drawn, tuple(edges), whole - len(drawn))


def _whole(facts: Facts, leads: Sequence[int]) -> int:
    """Count the guids that a picture without a limit would show."""
    rows = facts.components.around(np.array(leads, np.int32))
    ends = np.ascontiguousarray(facts.table.new[rows[facts.join.succ[rows] < 0]])
    distinct = GuidIndex(ends).lead == np.arange(len(ends))
    return int((facts.join.lead[rows] == rows).sum() + distinct.sum())


def _spread(facts: Facts, leads: Sequence[int], limit: int) -> list[int]:
    """Go outwards from the leads, forwards and backwards, until ``limit`` olds are found."""
    found = list(leads[:limit])
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
