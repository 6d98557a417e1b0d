"""Which one row each old keeps, once it is known who survives.

Every old but the survivor keeps exactly one way, and along the kept ways all of them get to the survivor. Where several
ways of an old would do, they are redundant, and the newest stays.
"""

from __future__ import annotations

import heapq
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mergeguard.core.repair.case import Case, Way, by_new
from mergeguard.core.repair.evidence import Confidence

Into: TypeAlias = Mapping[uuid.UUID, list[Way]]

LARGE = 2000
"""Members beyond which nobody works out which ways lead back to their own old: in rings of rings it takes for ever."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The way that each old keeps, and how sure these choices are."""

    ways: Mapping[uuid.UUID, Way]
    confidence: Confidence
    unordered: uuid.UUID | None = None
    """An old with several ways that would do, of which none is known to be the newest."""


def keep(case: Case, survivor: uuid.UUID) -> Kept:
    """Choose a way for every member but the survivor, the newest wherever there is a choice.

    Ways are taken from the survivor outwards, so that they never close a circle: an old's newest way first, another of
    its ways only where the newest ones of several olds lead round.
    """
    feasible = _feasible(case, survivor)
    prefer, unordered = _newest(case, feasible)
    into: dict[uuid.UUID, list[Way]] = defaultdict(list)
    for ways in feasible.values():
        for way in ways:
            into[way.head].append(way)
    kept: dict[uuid.UUID, Way] = {}
    heap: list[tuple[Any, ...]] = []
    _offer(case, heap, into[survivor], prefer)
    while heap:
        nearest: Way = heapq.heappop(heap)[-1]
        if nearest.old not in kept:
            kept[nearest.old] = nearest
            _offer(case, heap, into[nearest.old], prefer)
    chosen = [old for old, ways in feasible.items() if len(ways) > 1]
    sure = Confidence.ARBITRARY if unordered else Confidence.STRONG if chosen else Confidence.CERTAIN
    return Kept(kept, sure, unordered)


def _offer(case: Case, heap: list[tuple[Any, ...]], ways: list[Way], prefer: Mapping[uuid.UUID, uuid.UUID]) -> None:
    for way in ways:
        later = prefer.get(way.old, way.new) != way.new
        heapq.heappush(heap, (later, *case.order.rank(way.rows), way.old.bytes, way.new.bytes, way))


def _newest(case: Case, feasible: Into) -> tuple[dict[uuid.UUID, uuid.UUID], uuid.UUID | None]:
    """Return the new of each old's newest way, and the first old that has a choice but no newest."""
    found: dict[uuid.UUID, uuid.UUID] = {}
    unordered = None
    for old, ways in feasible.items():
        key = ways[0].new if len(ways) == 1 else case.order.newest(by_new(ways)).key
        if key is not None:
            found[old] = key
        elif unordered is None:
            unordered = old
    return found, unordered


def _feasible(case: Case, survivor: uuid.UUID) -> dict[uuid.UUID, list[Way]]:
    """Return the ways of each old from which the survivor can be got to without coming back to that old.

    In a component of over ``LARGE`` members it is all that get there at all: an old may then seem to have a choice
    where it has none, and without an order of rows the component is refused.
    """
    own = {old: ways for old, ways in case.onward.items() if old != survivor}
    if all(len(ways) == 1 for ways in own.values()):
        return own
    if len(own) == 1:  # an old by itself, as nearly all conflicts are: nobody else leads anywhere
        return {old: [way for way in ways if way.head == survivor] for old, ways in own.items()}
    behind: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for old, ways in own.items():
        for way in ways:
            behind[way.head].append(old)
    if len(case.unit.members) > LARGE:
        inside = case.members | {survivor}
        return {old: [way for way in ways if way.head in inside] for old, ways in own.items()}
    spans = _spans(survivor, behind)
    return {old: [way for way in ways if _clear(spans, old, way.head)] for old, ways in own.items()}


def _clear(spans: Mapping[uuid.UUID, tuple[int, int]], old: uuid.UUID, head: uuid.UUID) -> bool:
    """Say whether ``head`` gets to the survivor at all, and not only through ``old``."""
    if head not in spans:
        return False
    first, last = spans[old]
    return not first <= spans[head][0] <= last


def _spans(survivor: uuid.UUID, behind: Mapping[uuid.UUID, list[uuid.UUID]]) -> dict[uuid.UUID, tuple[int, int]]:
    """Number the dominator tree of the walks to the survivor: a node's span holds the numbers of all below it."""
    from networkx import DiGraph, immediate_dominators  # noqa: PLC0415 - only components with conflicts need it

    graph = DiGraph()
    graph.add_node(survivor)
    graph.add_edges_from((head, old) for head, olds in behind.items() for old in olds)
    above = immediate_dominators(graph, survivor)
    below: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for node, parent in above.items():
        if node != survivor and parent is not None:
            below[parent].append(node)
    spans: dict[uuid.UUID, tuple[int, int]] = {}
    number, todo = 0, [(survivor, False)]
    first: dict[uuid.UUID, int] = {}
    while todo:
        node, done = todo.pop()
        if done:
            spans[node] = (first[node], number - 1)
            continue
        first[node] = number
        number += 1
        todo.append((node, True))
        todo.extend((child, False) for child in below[node])
    return spans
