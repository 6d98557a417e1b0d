"""Strongly connected components of a picture's small graph, without networkx: a report must be quick to start."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

Successors: TypeAlias = Mapping[uuid.UUID, Sequence[uuid.UUID]]


def strongly_connected(successors: Successors) -> list[list[uuid.UUID]]:
    """Return the components, each after all that it leads to, its members in the order of a walk around it.

    Kosaraju's two walks, iterative. Both take nodes in the order of the mapping, so the answer is always the same.
    """
    predecessors: dict[uuid.UUID, list[uuid.UUID]] = {guid: [] for guid in successors}
    for source, targets in successors.items():
        for target in targets:
            predecessors[target].append(source)
    finished = _postorder(successors, successors)
    taken: dict[uuid.UUID, None] = {}
    groups: list[list[uuid.UUID]] = []
    for root in reversed(finished):
        group = _reach(predecessors, root, taken)
        taken.update(dict.fromkeys(group))
        if group:
            groups.append(group)
    # The first group found is one that nothing leads to.
    return [_around(group, successors) for group in reversed(groups)]


def _postorder(successors: Successors, roots: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    seen: set[uuid.UUID] = set()
    finished: list[uuid.UUID] = []
    for root in roots:
        pending = [(root, False)]
        while pending:
            guid, done = pending.pop()
            if done:
                finished.append(guid)
            elif guid not in seen:
                seen.add(guid)
                pending.append((guid, True))
                pending += [(target, False) for target in reversed(successors[guid])]
    return finished


def _reach(successors: Successors, root: uuid.UUID, taken: Mapping[uuid.UUID, None]) -> list[uuid.UUID]:
    seen: dict[uuid.UUID, None] = {}
    pending = [root]
    while pending:
        guid = pending.pop()
        if guid not in seen and guid not in taken:
            seen[guid] = None
            pending += successors[guid]
    return list(seen)


def _around(group: list[uuid.UUID], successors: Successors) -> list[uuid.UUID]:
    """Order a component by a walk that stays in it, so that a plain cycle comes out in its own order."""
    inside = set(group)
    limited = {guid: [target for target in successors[guid] if target in inside] for guid in group}
    # Preorder is the postorder's mirror for a plain cycle, and close to it for the rest.
    start = min(group, key=str)
    return list(reversed(_postorder(limited, [start])))
