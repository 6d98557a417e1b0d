"""Where a handful of guids lead, by ``closure``'s rules, tangled rows included.

Each step is all distinct news of a guid; a live guid has none. A test holds it together with ``core.closure``.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mergeguard.core.closure import Status
from mergeguard.core.guids import TOMBSTONE

Steps = Mapping[uuid.UUID, Collection[uuid.UUID]]


@dataclass(frozen=True, slots=True)
class End:
    """What a guid comes to."""

    current: uuid.UUID | None
    """``None`` for a cycle, a split and what was deleted."""
    depth: int | None
    status: Status
    on_way: tuple[uuid.UUID, ...]
    """All guids on all walks from it, itself and the terminals included."""


def steps_of(pairs: Iterable[tuple[uuid.UUID, uuid.UUID]], live: Collection[uuid.UUID] | None) -> Steps:
    """Return the news of each old, none for a guid that is live; ``live`` is ``None`` where nobody knows."""
    steps: dict[uuid.UUID, dict[uuid.UUID, None]] = {}
    for old, new in pairs:
        if live is None or old not in live:
            steps.setdefault(old, {})[new] = None
    return steps


def end_of(guid: uuid.UUID, steps: Steps, live: Collection[uuid.UUID] | None) -> End:
    """Follow all walks from a guid to their ends."""
    way = _way(guid, steps)
    order = _in_order(way, steps)
    if len(order) < len(way):
        return End(None, None, Status.CYCLE, way)
    terminals = [each for each in way if not steps.get(each)]
    if len(terminals) > 1:
        return End(None, None, Status.SPLIT, way)
    (current,) = terminals
    if current == TOMBSTONE:
        return End(None, None, Status.DELETED, way)
    depths: dict[uuid.UUID, int] = {}
    for each in order:
        depths[each] = max((depths[new] + 1 for new in steps.get(each, ())), default=0)
    status = Status.OK if live is None or current in live else Status.DANGLING
    return End(current, depths[guid], status, way)


def _way(guid: uuid.UUID, steps: Steps) -> tuple[uuid.UUID, ...]:
    seen = {guid: None}
    todo = [guid]
    while todo:
        for new in steps.get(todo.pop(), ()):
            if new not in seen:
                seen[new] = None
                todo.append(new)
    return tuple(seen)


def _in_order(way: Sequence[uuid.UUID], steps: Steps) -> list[uuid.UUID]:
    """Return the guids so that each stands behind all that it leads to; those that lead into a circle are left out."""
    behind: dict[uuid.UUID, list[uuid.UUID]] = {}
    open_: dict[uuid.UUID, int] = {}
    for old in way:
        news = steps.get(old, ())
        open_[old] = len(news)
        for new in news:
            behind.setdefault(new, []).append(old)
    order = [each for each in way if not open_[each]]
    for each in order:
        for old in behind.get(each, ()):
            open_[old] -= 1
            if not open_[old]:
                order.append(old)
    return order
